/** Settings of postscreen with what clients do there: the same for Postfix's and for ours. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Maker } from '../../support/real-postfix.ts';
import {
  type Door,
  type Parameters,
  type Reaction,
  type ScreenPair,
  type ScreenStep,
  startScreenPairs,
} from './screen-pair.ts';

export type Sessions = Readonly<Record<string, readonly ScreenStep[]>>;

export interface Setting {
  readonly main: Parameters;
  readonly scenes?: Readonly<Record<string, (door: Door) => Promise<string[]>>>;
  /** By a name; an address in it is the client's, else it has one that nobody else has. */
  readonly sessions?: Sessions;
}

type Settings = Readonly<Record<string, Setting>>;

/** Starts a pair for each. */
export function startScreens(
  t: TestContext,
  settings: Settings,
  more?: { readonly files?: Parameters; readonly main?: Parameters },
): Promise<Readonly<Record<string, ScreenPair>>> {
  const mains = Object.entries(settings).map(([name, { main }]) => [name, main] as const);
  return startScreenPairs(t, Object.fromEntries(mains), more);
}

/** Has both do all of it, and compares. */
export async function compareScreens(
  t: TestContext,
  settings: Settings,
  pairs: Readonly<Record<string, ScreenPair>>,
): Promise<void> {
  let strangers = 0;
  await Promise.all(
    Object.entries(settings).map(([setting, { sessions = {}, scenes = {} }]) =>
      t.test(setting, async (group) => {
        const pair = pairs[setting];
        for (const [name, steps] of Object.entries(sessions)) {
          const known = /^127\.\S+/.exec(name)?.[0];
          await group.test(`${setting}: ${name}`, async () => {
            // On a busy machine a second may be too short for what it is there to show.
            for (let triesLeft = known === undefined ? 2 : 0; ; triesLeft -= 1) {
              strangers += 1;
              const found = await pair?.converse(steps, known ?? `127.0.1.${strangers}`);
              const isAlike = isDeepStrictEqual(found?.ours, found?.real);
              if (triesLeft === 0) assert.deepEqual(found?.ours, found?.real);
              if (isAlike || triesLeft === 0) return;
            }
          });
        }
        for (const [name, scene] of Object.entries(scenes)) {
          await group.test(`${setting}: ${name}`, async () => {
            const found = inAnyOrder(await pair?.compare(scene));
            assert.deepEqual(found?.ours, found?.real);
          });
        }
      }),
    ),
  );
}

/** Of several clients, who comes first is a matter of chance. */
function inAnyOrder(found?: Record<Maker, Reaction>): Record<Maker, Reaction> | undefined {
  if (found === undefined) return undefined;
  const sorted = ({ log, ...others }: Reaction) => ({ ...others, log: [...log].sort() });
  return { ours: sorted(found.ours), real: sorted(found.real) };
}
