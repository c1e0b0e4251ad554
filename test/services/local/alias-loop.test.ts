/**
 * Aliases that lead back to themselves. Postfix bounces when it has gone round a hundred times, and
 * whoever stands on the way has got a copy by then; here the mail waits, and nobody has.
 */
import assert from 'node:assert/strict';
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { needsRoot } from '../../lib/os/scratch.ts';
import { eventually } from '../../support/condition.ts';
import { type MailSystem, startMailSystem } from '../../support/mail-system.ts';

/** Accounts that every Linux system has. */
const [ANN, BOB] = ['games', 'news'];
const START = `# Everybody's lists.
postmaster: root
`;
const LONG = Array.from({ length: 110 }, (_, at) => `way${at}: way${at + 1}\n`).join('');

interface Row {
  readonly name: string;
  /** What stands in the source, from its third line on. */
  readonly aliases: string;
  /** Whom the mail is for. */
  readonly to: string;
  /** Why it waits; the table's name stands for TABLE. Without it, the mail is delivered. */
  readonly loop?: string;
  /** How many copies either of the two gets, at once or when the loop has been mended. */
  readonly copies: readonly [ann: number, bob: number];
  /** What the source is changed to. */
  readonly mended?: string;
}

const ROWS: readonly Row[] = [
  {
    name: 'two that name each other',
    aliases: `one: two\ntwo: one\n`,
    to: 'one',
    loop: 'one: one -> two -> one; see TABLE, line 4',
    mended: `one: two\ntwo: ${ANN}\n`,
    copies: [1, 0],
  },
  {
    name: 'a loop behind somebody who would have had a copy each time',
    aliases: `team: ${ANN}, inner\ninner: ${BOB},\n  Outer@lab.test\nouter: "inner"\n`,
    to: 'team',
    loop: 'inner: inner -> outer -> inner; see TABLE, line 6',
    mended: `team: ${ANN}, inner\ninner: ${BOB}\n`,
    copies: [1, 1],
  },
  {
    name: 'a loop that an extension goes round with',
    aliases: `one: two\ntwo: three+more\nthree: one\n`,
    to: 'one+x',
    loop: 'one: one -> two -> three -> one; see TABLE, line 5',
    mended: `one: ${BOB}\n`,
    copies: [0, 1],
  },
  {
    name: 'a way without an end',
    aliases: `${LONG}way110: ${ANN}\n`,
    to: 'way0',
    loop: 'way0: way0 -> way1 -> way2 -> way3 -> way4 -> ... -> way96 -> way97 -> way98 -> way99 -> way100; see TABLE, line 102',
    mended: `way0: way90\n${LONG.replace(/^.*/, '')}way110: ${ANN}\n`,
    copies: [1, 0],
  },
  {
    name: 'two ways to one alias are no loop',
    aliases: `all: left, right\nleft: end\nright: end, left\nend: ${ANN}\n`,
    to: 'all',
    copies: [1, 0],
  },
  {
    name: 'an alias that names itself means the user',
    aliases: `${ANN}: ${ANN}, other\nother: ${BOB}\n`,
    to: ANN,
    copies: [1, 1],
  },
  {
    name: 'an alias of the same name elsewhere is not this one',
    aliases: `far: near@discarded.test, ${ANN}\nnear: far\n`,
    to: 'far',
    copies: [1, 0],
  },
];

const TYPES = { hash: (text: string) => text, texthash: (text: string) => text.replace(/:/gm, '') };

/** Delivered-To of each message in a mailbox. */
function copiesOf(mail: MailSystem, user: string): number {
  const path = join(mail.directory, 'mail', user);
  if (statSync(path, { throwIfNoEntry: false }) === undefined) return 0;
  return readFileSync(path, 'utf8').match(/^Delivered-To: /gm)?.length ?? 0;
}

async function check(t: TestContext, type: keyof typeof TYPES, row: Row): Promise<void> {
  const written = (text: string) => TYPES[type](START + text);
  const mail = await startMailSystem(t, {
    mailDirectory: true,
    main: {
      alias_maps: `${type}:$config_directory/aliases`,
      alias_database: `hash:$config_directory/aliases`,
      home_mailbox: '',
      biff: 'no',
      mail_spool_directory: '$config_directory/../mail',
      transport_maps: 'inline:{discarded.test=discard:}',
      recipient_delimiter: '+',
      minimal_backoff_time: '1s',
    },
    files: { aliases: written(row.aliases) },
    stopped: true,
  });
  chmodSync(join(mail.directory, 'mail'), 0o1777);
  const source = join(mail.config, 'aliases');
  const publish = () => {
    if (type === 'hash') assert.equal(mail.run('newaliases').status, 0);
  };
  publish();
  mail.start();
  const sent = mail.run('sendmail', ['-f', 'ann@example.com', `${row.to}@lab.test`], 'x: y\n\n');
  assert.equal(sent.status, 0, sent.stderr);
  if (row.loop !== undefined) {
    const line = await mail.waitForLog(/status=deferred/);
    const table = `${type}:${source}`;
    const text = `alias database loop for ${row.loop.replace('TABLE', table)}`;
    assert.equal(line.slice(line.indexOf('dsn=')), `dsn=4.4.6, status=deferred (${text})`);
    assert.ok(mail.log().includes(`: warning: ${text}\n`));
    assert.deepEqual([copiesOf(mail, ANN), copiesOf(mail, BOB)], [0, 0]);
    await eventually('the message to wait', () => mail.ids('deferred').length === 1);
    writeFileSync(source, written(row.mended ?? ''));
    publish();
    assert.equal(mail.run('postqueue', ['-f']).status, 0);
  }
  await mail.waitUntilEmpty();
  assert.deepEqual([copiesOf(mail, ANN), copiesOf(mail, BOB)], row.copies);
  assert.doesNotMatch(mail.log(), /status=bounced/);
}

for (const row of ROWS) test(row.name, { skip: needsRoot }, (t) => check(t, 'hash', row));
test('a loop in a table that is text', { skip: needsRoot }, (t) =>
  check(t, 'texthash', ROWS[1] as Row),
);
