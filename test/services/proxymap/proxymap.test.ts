/** proxymap beside Postfix's: the same answers on the wire, and each other's clients. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { int, str } from '../../../lib/ipc/fields.ts';
import { openTable, openTables, TableError } from '../../../lib/table/table.ts';
import { parseApproved } from '../../../services/proxymap/approved-tables.ts';
import { atEnd } from '../../support/cleanup.ts';
import { eventually } from '../../support/condition.ts';
import { type Maker, whyNoPostfix } from '../../support/real-postfix.ts';
import { scriptedService } from '../../support/scripted-service.ts';
import { startRewriting } from '../trivial-rewrite/daemons.ts';
import { Asker, place, postmap, startProxy } from './daemons.ts';

const READ = {
  proxy_read_maps:
    'proxy:texthash:DIR/map, proxy:regexp:DIR/re proxy:hash:/no/such proxy:static:{a b}' +
    ' pipemap:{inline:{x=y}, proxy:inline:{y=z}} proxy:pipemap:{inline:{a=b}, inline:{b=c}}' +
    ' proxy:fail:x proxy:bogus:x proxy:inline:{e=} proxy:cidr:/no/such proxy:unix:passwd.byname' +
    ' proxy:internal:i proxy:inline:{a=1} proxy:proxy:inline:{p=1} proxy:hash:DIR/hashed',
};

const LOCK = 64;
const USUAL = LOCK | (1 << 14) | (1 << 19);

function prepared(t: TestContext, main: Readonly<Record<string, string>> = READ): string {
  const directory = place(t, main);
  writeFileSync(join(directory, 'map'), 'a b\nU 1\n');
  writeFileSync(join(directory, 're'), '/^a(.*)/ X$1\n');
  return directory;
}

const logOf = (directory: string) => {
  try {
    return readFileSync(join(directory, 'log'), 'utf8');
  } catch {
    return '';
  }
};

/** Bits that say what a table is like; the others say how it is made. */
const shown = (answer: string) =>
  answer.replace(/flags=<(\d+)>/, (_, flags: string) => `flags=<${Number(flags) & ~0xc}>`);

const TABLES = [
  'texthash:DIR/map',
  'regexp:DIR/re',
  'hash:/no/such',
  'static:{a b}',
  'inline:{y=z}',
  'pipemap:{inline:{a=b}, inline:{b=c}}',
  'fail:x',
  'bogus:x',
  'inline:{e=}',
  'cidr:/no/such',
  'unix:passwd.byname',
  'internal:i',
  'inline:{a=1}',
  'inline:{p=1}',
  'static:unapproved',
  'proxy:inline:{a=1}',
  'nocolon',
];

test('the same answers as Postfix, byte for byte', { skip: whyNoPostfix() }, async (t) => {
  const ours = prepared(t);
  const theirs = prepared(t);
  startProxy(t, ours, 'ours');
  startProxy(t, theirs, 'real');
  const askers = [await Asker.open(t, ours), await Asker.open(t, theirs)] as const;
  const compare = async (
    request: string,
    attributes: Readonly<Record<string, string | number>>,
  ) => {
    const [mine, his] = [ours, theirs].map((directory) =>
      Object.fromEntries(
        Object.entries(attributes).map(([name, value]) => [
          name,
          typeof value === 'string' ? value.replaceAll('DIR', directory) : value,
        ]),
      ),
    );
    const [one, other] = [
      await askers[0].ask(request, mine ?? {}),
      await askers[1].ask(request, his ?? {}),
    ];
    // An unavailable table of an unknown type has one bit less.
    const unknown = attributes['table'] === 'bogus:x';
    if (!unknown || request !== 'open') {
      assert.equal(shown(one), shown(other), `${request} ${JSON.stringify(attributes)}`);
    }
  };
  for (const table of TABLES) {
    await compare('open', { table, flags: USUAL });
    for (const key of ['a', 'A', 'none', 'e', '', 'root', 'p', 'abc']) {
      await compare('lookup', { table, flags: USUAL, key });
    }
  }
  const table = 'texthash:DIR/map';
  await compare('update', { table, flags: LOCK, key: 'a', value: 'x' });
  await compare('delete', { table, flags: LOCK, key: 'a' });
});

test('proxywrite makes, changes and lists tables as Postfix does', {
  skip: whyNoPostfix(),
}, async (t) => {
  const main = {
    proxy_write_maps: 'proxy:btree:DIR/w proxy:regexp:DIR/re proxy:internal:w',
  };
  const [ours, theirs] = [prepared(t, main), prepared(t, main)];
  startProxy(t, ours, 'ours', 'proxywrite');
  startProxy(t, theirs, 'real', 'proxywrite');
  const mine = await Asker.open(t, ours, 'proxywrite');
  const his = await Asker.open(t, theirs, 'proxywrite');
  const compare = async (
    request: string,
    table: string,
    rest: Readonly<Record<string, string | number>>,
  ) => {
    const asked = (directory: string) => ({
      table: table.replace('DIR', directory),
      flags: USUAL,
      ...rest,
    });
    assert.equal(
      shown(await mine.ask(request, asked(ours))),
      shown(await his.ask(request, asked(theirs))),
      `${request} ${table} ${JSON.stringify(rest)}`,
    );
  };
  for (const table of ['btree:DIR/w', 'regexp:DIR/re', 'internal:w', 'hash:DIR/map']) {
    await compare('open', table, {});
    await compare('lookup', table, { key: 'a' });
    await compare('update', table, { key: 'A', value: 'x' });
    await compare('update', table, { key: 'A', value: 'y' });
    await compare('lookup', table, { key: 'a' });
    await compare('sequence', table, { function: 0 });
    await compare('sequence', table, { function: 1 });
    await compare('sequence', table, { function: 1 });
    await compare('sequence', table, { function: 2 });
    await compare('delete', table, { key: 'a' });
    await compare('delete', table, { key: 'a' });
    await compare('lookup', table, { key: 'a' });
  }
  for (const key of ['k0', 'k1', 'k2']) await compare('update', 'btree:DIR/w', { key, value: 'v' });
  for (const number of [0, 1, 1, 1, 0]) {
    await compare('sequence', 'btree:DIR/w', { function: number });
  }
});

const PAIRS: readonly (readonly [client: Maker, server: Maker])[] = [
  ['ours', 'ours'],
  ['ours', 'real'],
  ['real', 'ours'],
];

for (const [client, server] of PAIRS) {
  test(`postmap (${client}) asks proxymap (${server})`, { skip: whyNoPostfix() }, (t) => {
    const directory = prepared(t);
    startProxy(t, directory, server);
    const map = `proxy:texthash:${directory}/map`;
    const ask = (table: string, key: string) => postmap(directory, client, ['-q', key, table]);
    assert.deepEqual(ask(map, 'A'), { status: 0, output: 'b\n', errors: '' });
    assert.deepEqual(ask(map, 'none'), { status: 1, output: '', errors: '' });
    assert.equal(ask(`proxy:regexp:${directory}/re`, 'abc').output, 'Xbc\n');
    const several = postmap(directory, client, ['-q', '-', map], 'a\nb\na\n');
    assert.equal(several.output, 'a\tb\na\tb\n');
    const denied = ask('proxy:static:x', 'a');
    assert.equal(denied.status, 1);
    assert.match(
      denied.errors,
      /postmap: fatal: proxymap service is not configured for table "static:x"\n$/,
    );
    const failing = ask('proxy:fail:x', 'a');
    assert.equal(failing.status, 1);
    assert.match(failing.errors, /^postmap: fatal: table proxy:fail:x: query error/);
    // Postfix's daemon wants a postlogd.
    if (server === 'real') return;
    const log = logOf(directory);
    assert.match(log, /warning: request for unapproved table: "static:x"/);
    assert.match(
      log,
      /to approve this table for read-only access, list proxy:static:x in main\.cf:proxy_read_maps/,
    );
  });
}

test("Postfix's trivial-rewrite asks our proxymap", { skip: whyNoPostfix() }, async (t) => {
  const directory = prepared(t, {
    ...READ,
    transport_maps: 'proxy:texthash:DIR/transport',
    proxy_read_maps: '$transport_maps',
    smtputf8_enable: 'no',
  });
  writeFileSync(join(directory, 'transport'), 'far.test smtp:[gate.test]\n');
  startProxy(t, directory, 'ours');
  for (const kind of ['postfix', 'ours'] as const) {
    const asker = startRewriting(t, directory, kind);
    const answer = await asker.ask(['resolve', '', 'ann@far.test']);
    assert.match(answer ?? '', /transport=<smtp> nexthop=<\[gate\.test\]>/, kind);
  }
});

function clientOf(directory: string) {
  const main: Record<string, string> = {
    queue_directory: join(directory, 'queue'),
    smtputf8_enable: 'yes',
  };
  return { text: (name: string) => main[name] ?? '' };
}

test('a changed table is opened anew, and nobody is sent away', async (t) => {
  const directory = prepared(t);
  startProxy(t, directory, 'ours');
  const asker = await Asker.open(t, directory);
  const lookup = () =>
    asker.ask('lookup', { table: `texthash:${directory}/map`, flags: USUAL, key: 'a' });
  assert.equal(await lookup(), 'status=<0> value=<b>');
  writeFileSync(join(directory, 'next'), 'a c\n');
  renameSync(join(directory, 'next'), join(directory, 'map'));
  await eventually('the new table', async () => (await lookup()) === 'status=<0> value=<c>');
});

test('a table that cannot be opened heals when it is mended', async (t) => {
  const directory = prepared(t);
  startProxy(t, directory, 'ours');
  const asker = await Asker.open(t, directory);
  const lookup = () =>
    asker.ask('lookup', { table: `hash:${directory}/hashed`, flags: USUAL, key: 'a' });
  assert.equal(await lookup(), 'status=<2> value=<>');
  const why = /hash:\S+\/hashed is unavailable\. open database \S+: No such file/;
  await eventually('a warning', () => why.test(logOf(directory)));
  writeFileSync(join(directory, 'hashed'), 'a b\n');
  assert.equal(postmap(directory, 'ours', ['hash:hashed']).status, 0);
  await eventually('the new table', async () => (await lookup()) === 'status=<0> value=<b>');
});

test('the service dies and comes back, and its clients wait for it', async (t) => {
  const directory = prepared(t);
  const first = startProxy(t, directory, 'ours');
  const table = openTable('proxy:inline:{a=1}', { configuration: clientOf(directory) });
  atEnd(t, () => table.close());
  assert.equal(await table.lookup('a'), '1');
  await first.kill();
  const answer = table.lookup('b');
  startProxy(t, directory, 'ours');
  assert.equal(await answer, undefined);
});

test('without the service, and when it refuses, mail is deferred', async (t) => {
  const directory = prepared(t);
  const configuration = clientOf(directory);
  const tables = openTables('proxy:inline:{a=1}', { configuration, parameter: 'transport_maps' });
  const path = join(directory, 'queue/private/proxymap');
  await assert.rejects(async () => tables.lookup('a'), {
    name: 'TableError',
    message: `table proxy:inline:{a=1}: query error: connect #11 to subsystem ${path}: No such file or directory; is the mail system up, with proxymap in master.cf?`,
  });
  startProxy(t, directory, 'ours');
  const refused = openTables('proxy:static:x', { configuration, parameter: 'transport_maps' });
  await assert.rejects(async () => refused.lookup('a'), TableError);
  assert.equal((await tables.lookup('a'))?.value, '1');
  tables.close();
  refused.close();
});

test('parts of addresses are not put to patterns behind a proxy', () => {
  const pattern = (name: string) => openTable(`proxy:${name}`, {}).pattern;
  for (const name of ['regexp:/x', 'tcp:a:1', 'proxy:cidr:/x', 'unionmap:{pcre:/x, fail:y}']) {
    assert.equal(pattern(name), true, name);
  }
  for (const name of ['hash:/x', 'unix:passwd.byname', 'pipemap:{regexp:/x, hash:/y}']) {
    assert.equal(pattern(name), false, name);
  }
});

test('a table that decides about rights is never opened by proxymap', () => {
  const table = openTable('proxy:inline:{a=1}', { sensitive: true });
  assert.equal(table.lookup('a'), '1');
});

test('a newer client says flags twice, and hears them back', async (t) => {
  const directory = prepared(t);
  startProxy(t, directory, 'ours');
  const asker = await Asker.open(t, directory);
  const table = 'inline:{a=1}';
  const request = { table, instance_flags: USUAL, flags: 0, key: 'a' };
  assert.match(await asker.ask('lookup', request), /^status=<0> flags=<\d+> value=<1>$/);
});

test('a request that there is not', async (t) => {
  const directory = prepared(t);
  startProxy(t, directory, 'ours');
  const asker = await Asker.open(t, directory);
  assert.equal(await asker.ask('paint', {}), 'status=<3>');
  const warning = /warning: unrecognized request: "paint", ignored/;
  await eventually('a warning', () => warning.test(logOf(directory)));
});

test('parseApproved takes what stands behind proxy:, also inside other tables', () => {
  assert.deepEqual(
    [
      ...parseApproved(
        'hash:/a, proxy:hash:/b check_sender_access proxy:proxy:hash:/c proxy:nocolon' +
          ' unionmap:{static:x, proxy:regexp:/d, pipemap:{proxy:static:{e f}}}',
      ),
    ],
    ['hash:/b', 'hash:/c', 'regexp:/d', 'static:{e f}'],
  );
});

const WRITERS: readonly (readonly [client: Maker, server: Maker])[] = [
  ['ours', 'ours'],
  ['ours', 'real'],
  ['real', 'ours'],
  ['real', 'real'],
];

for (const [client, server] of WRITERS) {
  test(`postmap (${client}) takes keys out of tables of proxywrite (${server})`, {
    skip: whyNoPostfix(),
  }, async (t) => {
    const directory = prepared(t, { proxy_write_maps: 'proxy:btree:DIR/w' });
    startProxy(t, directory, server, 'proxywrite');
    const map = `proxy:btree:${directory}/w`;
    const run = (...args: string[]) => postmap(directory, client, args, 'a\nb\n');
    const done = { status: 0, output: '', errors: '' };
    const asker = await Asker.open(t, directory, 'proxywrite');
    const table = `btree:${directory}/w`;
    for (const [key, value] of [
      ['A', 'e'],
      ['c', 'd'],
    ] as const) {
      await asker.ask('update', { table, flags: USUAL, key, value });
    }
    const shownBy = postmap(directory, server, ['-q', 'a', table]);
    assert.equal(shownBy.output, 'e\n');
    assert.deepEqual(run('-d', 'A', map), done);
    assert.deepEqual(run('-d', 'a', map), { ...done, status: 1 });
    assert.deepEqual(run('-d', '-', map), { ...done, status: 1 });
    for (const [args, why] of [
      [[map], "can't create maps via the proxy service"],
      [['-i', map], 'unsupported dictionary type: proxy does not support bulk-mode creation.'],
      [['-s', map], "can't sequence maps via the proxy service"],
      [
        ['-d', 'a', 'proxy:hash:/no/such'],
        'proxywrite service is not configured for table "hash:/no/such"',
      ],
    ] as const) {
      const { status, errors } = run(...args);
      assert.equal(status, 1);
      assert.ok(errors.endsWith(`postmap: fatal: ${why}\n`), errors);
    }
  });
}

test('a client of proxymap goes by ipc_timeout and ipc_idle', async (t) => {
  const directory = prepared(t);
  let asked = 0;
  let ended = 0;
  const warnings: string[] = [];
  await scriptedService(t, join(directory, 'queue/private/proxymap'), async (connection) => {
    await connection.send([['protocol', 'proxymap_protocol']]);
    const shape = { request: str, table: str, flags: int, key: str };
    await connection.receive(shape);
    asked += 1;
    // The first client waits in vain.
    if (asked > 1) {
      await connection.send([
        ['status', 0],
        ['value', 'here'],
      ]);
    }
    await connection.receive(shape);
    ended += 1;
  });
  const main: Record<string, string> = {
    queue_directory: join(directory, 'queue'),
    ipc_timeout: '1s',
    ipc_idle: '1',
  };
  const table = openTable('proxy:inline:{a=1}', {
    configuration: { text: (name) => main[name] ?? '' },
    log: { warn: (text) => warnings.push(text), error: () => {} },
  });
  atEnd(t, () => table.close());
  assert.equal(await table.lookup('a'), 'here');
  assert.match(warnings.join('\n'), /^connect #1 to subsystem \S+: .*timeout on /);
  await eventually('the end of all connections', () => ended > 1 && ended === asked);
});

/** Many entries, so that a copy would show. */
const ENTRIES = 20_000;

test('proxywrite changes a table in place, and makes a new one under a reader', async (t) => {
  const directory = prepared(t, { proxy_write_maps: 'proxy:btree:DIR/w' });
  const source = Array.from({ length: ENTRIES }, (_, index) => `k${index} v`);
  writeFileSync(join(directory, 'w'), `${source.join('\n')}\n`);
  // Who owns the source owns the table; the service runs as mail_owner.
  if (process.getuid?.() === 0) spawnSync('chown', ['postfix', join(directory, 'w')]);
  assert.equal(postmap(directory, 'ours', ['btree:w']).status, 0);
  startProxy(t, directory, 'ours', 'proxywrite');
  const asker = await Asker.open(t, directory, 'proxywrite');
  const table = `btree:${directory}/w`;
  const update = (value: string) => asker.ask('update', { table, flags: USUAL, key: 'k1', value });
  const lookup = () => asker.ask('lookup', { table, flags: USUAL, key: 'k1' });
  const inode = () => statSync(join(directory, 'w.db')).ino;
  const before = inode();
  assert.equal(await update('one'), 'status=<0>');
  assert.equal(await lookup(), 'status=<0> value=<one>');
  assert.equal(inode(), before);
  const reader = openTable(table, {});
  atEnd(t, () => reader.close());
  // The locks of a reader outlive another table of the same file in its process.
  openTable(table, {}).close();
  assert.equal(reader.lookup('k1'), 'one');
  assert.equal(await update('two'), 'status=<0>');
  assert.notEqual(inode(), before);
  assert.equal(await lookup(), 'status=<0> value=<two>');
  assert.equal(reader.lookup('k1'), 'one');
  assert.equal(reader.changed(), true);
  assert.equal(postmap(directory, 'ours', ['-q', 'k1', 'btree:w']).output, 'two\n');
  // postmap puts another file in its place: the next request sees that.
  assert.equal(postmap(directory, 'ours', ['-d', 'k2', 'btree:w']).status, 0);
  assert.equal(await asker.ask('delete', { table, flags: USUAL, key: 'k2' }), 'status=<1>');
  assert.equal(await update('three'), 'status=<0>');
  assert.equal(postmap(directory, 'ours', ['-q', 'k1', 'btree:w']).output, 'three\n');
});

test('a change that was never finished is undone for the next reader', (t) => {
  const directory = prepared(t);
  const source = Array.from({ length: ENTRIES }, (_, index) => `k${index} v`);
  writeFileSync(join(directory, 'w'), `${source.join('\n')}\n`);
  assert.equal(postmap(directory, 'ours', ['btree:w']).status, 0);
  // With so small a cache it writes before it commits.
  const half = `
    const database = new (require('better-sqlite3'))(process.argv[1]);
    database.pragma('cache_size = 5');
    database.exec("BEGIN; UPDATE entry SET value = 'half'");
    process.kill(process.pid, 'SIGKILL');`;
  const database = join(directory, 'w.db');
  assert.equal(spawnSync(process.execPath, ['-e', half, database]).signal, 'SIGKILL');
  assert.ok(existsSync(`${database}-journal`));
  const copy = postmap(directory, 'ours', ['-i', 'btree:w'], 'new v\n');
  assert.equal(copy.status, 0);
  const values = postmap(directory, 'ours', ['-s', 'btree:w']).output.split('\n');
  assert.equal(values.length, ENTRIES + 2);
  assert.ok(values.every((line) => line === '' || line.endsWith('\tv')));
  assert.ok(!existsSync(`${database}-journal`));
});

test('a pattern that may take long keeps nobody waiting but its client', async (t) => {
  const directory = prepared(t, {
    proxy_read_maps: 'proxy:regexp:DIR/slow proxy:inline:{a=1}',
    pattern_time_limit: '1h',
  });
  writeFileSync(join(directory, 'slow'), '/^(.*)(.*)(.*)\\3\\2\\1x/ yes\n/^(b)\\1/ two\n');
  const patient = startProxy(t, directory, 'ours');
  const slow = { table: `regexp:${directory}/slow`, flags: USUAL };
  const [one, other] = [await Asker.open(t, directory), await Asker.open(t, directory)];
  assert.equal(await one.ask('lookup', { ...slow, key: 'bb' }), 'status=<0> value=<two>');
  const endless = { ...slow, key: 'a'.repeat(300) };
  one.ask('lookup', endless).catch(() => {});
  const quick = { table: 'inline:{a=1}', flags: USUAL, key: 'a' };
  assert.equal(await other.ask('lookup', quick), 'status=<0> value=<1>');
  await patient.kill();
  writeFileSync(join(directory, 'main.cf'), 'pattern_time_limit = 1s\n', { flag: 'a' });
  startProxy(t, directory, 'ours');
  const third = await Asker.open(t, directory);
  assert.equal(await third.ask('lookup', endless), 'status=<2> value=<>');
});
