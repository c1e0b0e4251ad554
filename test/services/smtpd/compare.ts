/** Plays the same sessions with Postfix's smtpd and ours, and compares what they say and log. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Step } from './dialogue.ts';
import {
  type PairOptions,
  type Parameters,
  type SessionOptions,
  startServerPairs,
} from './server-pair.ts';

export interface Session extends SessionOptions {
  readonly steps: readonly Step[];
}

/** By their names: what clients say. */
export type Sessions = Readonly<Record<string, readonly Step[] | Session>>;

export interface Setting {
  /** On top of what server-pair.ts has. */
  readonly main: Parameters;
  readonly sessions: Sessions;
}

/** By their names: what a server has in main.cf, and the sessions that it has then. */
export type Settings = Readonly<Record<string, Setting>>;

/** Has both servers answer all sessions; those of one setting one after the other. */
export async function compareServers(
  t: TestContext,
  settings: Settings,
  options: PairOptions = {},
): Promise<void> {
  const parameters: Record<string, Parameters> = {};
  for (const [name, { main }] of Object.entries(settings)) parameters[name] = main;
  const pairs = await startServerPairs(t, parameters, options);
  const tests = Object.entries(settings).map(([setting, { sessions }]) =>
    t.test(setting, async (group) => {
      for (const [name, given] of Object.entries(sessions)) {
        await group.test(`${setting}: ${name}`, async () => {
          const { steps, ...options }: Session = 'steps' in given ? given : { steps: given };
          const found = await pairs[setting]?.converse(steps, options);
          assert.deepEqual(found?.ours, found?.real);
        });
      }
    }),
  );
  await Promise.all(tests);
}
