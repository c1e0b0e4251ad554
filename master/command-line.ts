import { basename } from 'node:path';
import type { MasterEntry } from '../lib/config/master-cf.ts';

/** What a daemon's arguments depend on, besides its line in master.cf. */
export interface CommandLineFacts {
  readonly limit: number;
  readonly listeners: number;
  readonly debug: boolean;
  readonly verbose: number;
  /** `undefined`: this service is not told about stress at all. */
  readonly stress: boolean | undefined;
}

/**
 * The arguments that a daemon gets before those of master.cf, in Postfix's order (ipc.md 1.4):
 * `-l -z -n NAME -t TYPE -d -v -u -c -o stress= -s N`.
 */
export function daemonArguments(entry: MasterEntry, facts: CommandLineFacts): string[] {
  const words: string[] = [];
  if (facts.limit === 1) words.push('-l');
  if (facts.limit === Number.POSITIVE_INFINITY) words.push('-z');
  if (entry.name !== basename(entry.command)) words.push('-n', entry.name);
  words.push('-t', entry.type);
  if (facts.debug) words.push('-d');
  for (let i = 0; i < facts.verbose; i += 1) words.push('-v');
  if (entry.unpriv) words.push('-u');
  if (entry.chroot) words.push('-c');
  if (facts.stress !== undefined) words.push('-o', facts.stress ? 'stress=yes' : 'stress=');
  if (facts.listeners > 1) words.push('-s', String(facts.listeners));
  return [...words, ...entry.args];
}
