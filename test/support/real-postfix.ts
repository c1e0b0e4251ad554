import { existsSync } from 'node:fs';
import { resolve } from 'node:path';

/** Where Debian's postfix keeps its daemons. */
export const REAL_DAEMONS = '/usr/lib/postfix/sbin';
const OUR_DAEMONS = resolve('build/libexec');

/** Real Postfix answers only as root, and only where it is installed. */
export function whyNoPostfix(): string | false {
  if (process.getuid?.() !== 0) return 'real Postfix needs root';
  return existsSync(`${REAL_DAEMONS}/master`) ? false : "Debian's postfix is not installed";
}

/** Whose program a daemon is. */
export type Maker = 'ours' | 'real';

/** The directory that master looks for its daemons in. */
export function daemonDirectory(maker: Maker): string {
  return maker === 'ours' ? OUR_DAEMONS : REAL_DAEMONS;
}

/**
 * The command column that makes a master of one maker start a daemon of another: master takes it
 * as relative to its own directory.
 */
export function commandOf(master: Maker, daemon: Maker, name: string): string {
  if (master === daemon) return name;
  const up = daemonDirectory(master)
    .split('/')
    .slice(1)
    .map(() => '..');
  return `${up.join('/')}${daemonDirectory(daemon)}/${name}`;
}
