/**
 * `postfix upgrade-configuration` and `postfix set-permissions`: what Postfix's post-install script
 * does to a configuration that was made for an older version, and to files of the wrong owner or mode.
 */
import { chmodSync, chownSync, existsSync, lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Configuration } from '../../lib/config/configuration.ts';
import { lookupGroup, lookupUser } from '../../lib/os/identity.ts';
import { editFile } from '../postconf/edit-file.ts';
import { editMain } from '../postconf/edit-main.ts';
import type { Administration } from './administration.ts';
import { PLACES } from './check.ts';

/** A line that master.cf should have: how to see that it does, and what it is for. */
interface Wanted {
  readonly known: RegExp;
  readonly line: string;
  readonly what: string;
}

/** A line that is not right any more. */
interface Mended {
  readonly line: RegExp;
  readonly mend: (line: string) => string;
  readonly what: string;
}

const service = (
  known: RegExp,
  line: string,
  what = `${/\w+/.exec(line)?.[0]} service`,
): Wanted => ({
  known,
  line,
  what: `adding missing entry for ${what}`,
});

/** In the order of Postfix's script, which is that of its versions. */
const CHANGES: readonly (Wanted | Mended)[] = [
  service(/^relay/m, 'relay\t  unix\t-\t-\tn\t-\t-\tsmtp'),
  service(/^flush.*flush/m, 'flush     unix  -       -       n       1000?   0       flush'),
  service(/trace.*bounce/, 'trace\t  unix\t-\t-\tn\t-\t0\tbounce'),
  service(/^verify.*verify/m, 'verify\t  unix\t-\t-\tn\t-\t1\tverify'),
  {
    line: /^verify.*[ \t]0[ \t]*verify/,
    mend: (line) => line.replace(/([ \t])0([ \t])/, (_, before, after) => `${before}1${after}`),
    what: 'setting verify process limit to 1',
  },
  {
    line: /^pickup[ \t]*fifo[ \t]*n[ \t]*n/,
    mend: (line) => line.replace(/(n[ \t]*)n/, '$1-'),
    what: 'making the pickup service unprivileged',
  },
  ...['cleanup', 'flush'].map(
    (name): Mended => ({
      line: new RegExp(`^${name}[ \\t]*unix[ \\t]*[-y]`),
      mend: (line) => line.replace(/[-y]/, 'n'),
      what: `making the ${name} service public`,
    }),
  ),
  service(/^proxymap.*proxymap/m, 'proxymap  unix\t-\t-\tn\t-\t-\tproxymap'),
  service(/^anvil.*anvil/m, 'anvil\t  unix\t-\t-\tn\t-\t1\tanvil'),
  service(/^scache.*scache/m, 'scache\t  unix\t-\t-\tn\t-\t1\tscache'),
  service(/^discard.*discard/m, 'discard\t  unix\t-\t-\tn\t-\t-\tdiscard'),
  {
    line: /^tlsmgr[ \t]*fifo[ \t]/,
    mend: (line) => line.replace('fifo', 'unix').replace(/[0-9]+/, '$&?'),
    what: 'updating the tlsmgr from fifo to unix service',
  },
  service(/^tlsmgr.*tlsmgr/m, 'tlsmgr    unix  -       -       n       1000?   1       tlsmgr'),
  service(/^retry.*error/m, 'retry     unix  -       -       n       -       -       error'),
  service(
    /^proxywrite.*proxymap/m,
    'proxywrite unix -       -       n       -       1       proxymap',
  ),
  {
    line: /^proxywrite.*-[ \t]*proxymap/,
    mend: (line) => line.replace(/-([ \t]*proxymap)/, (_, rest: string) => `1${rest}`),
    what: 'setting proxywrite process limit to 1',
  },
  service(
    /^#*smtp.*postscreen/m,
    '#smtp      inet  n       -       n       -       1       postscreen',
    'postscreen TCP service',
  ),
  service(
    /^#*smtpd.*smtpd/m,
    '#smtpd     pass  -       -       n       -       -       smtpd',
    'smtpd unix-domain service',
  ),
  service(
    /^#*dnsblog.*dnsblog/m,
    '#dnsblog   unix  -       -       n       -       0       dnsblog',
    'dnsblog unix-domain service',
  ),
  service(
    /^#*tlsproxy.*tlsproxy/m,
    '#tlsproxy  unix  -       -       n       -       0       tlsproxy',
    'tlsproxy unix-domain service',
  ),
  service(
    /^postlog/m,
    'postlog   unix-dgram n  -       n       -       1       postlogd',
    'postlog unix-domain datagram service',
  ),
];

/** `postfix upgrade-configuration`. */
export function upgradeConfiguration({ configuration }: Administration): number {
  const { directory } = configuration;
  const master = join(directory, 'master.cf');
  editFile(master, (text) =>
    upgradeMaster(text, (what) => process.stdout.write(`Editing ${master}, ${what}\n`)),
  );
  upgradeMain(configuration);
  return 0;
}

/** The new text of a master.cf. Pure, but for saying what is done. */
export function upgradeMaster(text: string, say: (what: string) => void): string {
  return CHANGES.reduce((before, change) => {
    if ('known' in change) {
      if (change.known.test(before)) return before;
      say(change.what);
      return `${before}${change.line}\n`;
    }
    const lines = before.split('\n');
    const at = lines.findIndex((line) => change.line.test(line));
    if (at < 0) return before;
    say(change.what);
    return lines.with(at, change.mend(lines[at] ?? '')).join('\n');
  }, text);
}

function upgradeMain(configuration: Configuration): void {
  const main = join(configuration.directory, 'main.cf');
  const settings = new Map<string, string>();
  const hashed = configuration.text('hash_queue_names');
  const missing = ['defer', 'deferred'].filter((name) => !hashed.includes(name));
  if (missing.length > 0) {
    process.stdout.write(`fixing main.cf hash_queue_names for missing  ${missing.join(' ')}\n`);
    settings.set('hash_queue_names', `${hashed} ${missing.join(' ')}`);
  }
  if (!configuration.isSet('inet_protocols')) {
    process.stdout.write(
      `COMPATIBILITY: editing ${main}, setting inet_protocols=ipv4.  Specify inet_protocols ` +
        'explicitly if you want to enable IPv6.\n',
    );
    settings.set('inet_protocols', 'ipv4');
  }
  if (settings.size === 0) return;
  editFile(main, (text) => editMain(text, { action: 'set', settings }, () => {}));
}

/** `postfix set-permissions`: owners and modes as `postfix check` wants them. */
export function setPermissions({ configuration, log }: Administration): number {
  if (process.getuid?.() !== 0) {
    log.fatal('set-permissions: only the superuser can give files away');
    return 1;
  }
  const owner = lookupUser(configuration.get('mail_owner'));
  const group = lookupGroup(configuration.get('setgid_group'));
  if (owner === undefined || group === undefined) {
    log.fatal('set-permissions: there is no such mail_owner or setgid_group');
    return 1;
  }
  const queue = configuration.get('queue_directory');
  const ids = { root: 0, mail_owner: owner.uid, setgid_group: group.gid };
  give(queue, { uid: 0, mode: 0o755 });
  for (const { name, owner: who, group: whose, mode } of PLACES) {
    const path = join(queue, name);
    const gid = whose === 'root' ? undefined : ids[whose];
    give(path, { uid: ids[who], gid, mode });
    // Mail belongs to its owner; in maildrop, to who sent it, and sockets are made by master.
    if (who === 'mail_owner' && whose === 'root' && name !== 'private') giveBelow(path, owner.uid);
  }
  const data = configuration.get('data_directory');
  give(data, { uid: owner.uid, mode: 0o700 });
  giveBelow(data, owner.uid);
  give(configuration.directory, { uid: 0, mode: 0o755 });
  for (const name of ['main.cf', 'master.cf']) {
    give(join(configuration.directory, name), { uid: 0, mode: 0o644 });
  }
  return 0;
}

interface Rights {
  readonly uid: number;
  readonly gid?: number | undefined;
  readonly mode: number;
}

/** What is not there is made by the next start. A link is not followed. */
function give(path: string, { uid, gid, mode }: Rights): void {
  if (!existsSync(path)) return;
  const stat = lstatSync(path);
  if (stat.isSymbolicLink()) return;
  chownSync(path, uid, gid ?? stat.gid);
  chmodSync(path, mode);
}

/** Everything below a directory; the modes of queue files say what state they are in, and stay. */
function giveBelow(directory: string, uid: number): void {
  for (const entry of existsSync(directory)
    ? readdirSync(directory, { withFileTypes: true })
    : []) {
    const path = join(directory, entry.name);
    if (entry.isSymbolicLink()) continue;
    chownSync(path, uid, lstatSync(path).gid);
    if (entry.isDirectory()) {
      chmodSync(path, 0o700);
      giveBelow(path, uid);
    }
  }
}
