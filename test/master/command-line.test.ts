import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePort, splitInetName } from '../../lib/config/inet-name.ts';
import { parseMasterCf } from '../../lib/config/master-cf.ts';
import { type CommandLineFacts, daemonArguments } from '../../master/command-line.ts';
import { disabledServices } from '../../master/disabled-services.ts';
import { daemonEnvironment } from '../../master/environment.ts';
import { parseMasterOptions } from '../../master/options.ts';
import { readStatusMessage } from '../../master/status-message.ts';

const FACTS: CommandLineFacts = {
  limit: 100,
  listeners: 1,
  debug: false,
  verbose: 0,
  stress: undefined,
};

/** A line of master.cf, what else is known, and the arguments Postfix 3.7.11 gives the daemon. */
const COMMAND_LINES: readonly [line: string, facts: Partial<CommandLineFacts>, wanted: string][] = [
  ['smtp inet n - n - - smtpd', {}, '-n smtp -t inet -u'],
  ['smtp inet n - n - - smtpd', { listeners: 2 }, '-n smtp -t inet -u -s 2'],
  ['smtp inet n - n - - smtpd', { stress: false }, '-n smtp -t inet -u -o stress='],
  ['smtp inet n - n - - smtpd', { stress: true }, '-n smtp -t inet -u -o stress=yes'],
  ['qmgr unix n - n 300 1 qmgr', { limit: 1 }, '-l -t unix -u'],
  ['cleanup unix n - y - 0 cleanup', { limit: Infinity }, '-z -t unix -u -c'],
  ['local unix - n n - - local', {}, '-t unix'],
  ['local unix - n n - - local', { debug: true, verbose: 2 }, '-t unix -d -v -v'],
  ['relay unix - - n - - smtp -o a=b', {}, '-n relay -t unix -u -o a=b'],
];

for (const [line, facts, wanted] of COMMAND_LINES) {
  test(`${line} with ${JSON.stringify(facts)} is started with ${wanted}`, () => {
    const [entry] = parseMasterCf(line, 'master.cf');
    assert.ok(entry);
    assert.equal(daemonArguments(entry, { ...FACTS, ...facts }).join(' '), wanted);
  });
}

for (const [patterns, name, type, disabled] of [
  ['inet', 'smtp', 'inet', true],
  ['smtp/inet', 'smtp', 'inet', true],
  ['smtp/inet', 'smtp', 'unix', false],
  ['!smtp/inet, inet', 'smtp', 'inet', false],
  ['!smtp/inet, inet', 'submission', 'inet', true],
  ['', 'smtp', 'inet', false],
] as const) {
  test(`master_service_disable = ${patterns} ${disabled ? 'drops' : 'keeps'} ${name}/${type}`, () => {
    assert.equal(disabledServices(patterns)({ name, type }), disabled);
  });
}

for (const [name, host, port] of [
  ['25', '', '25'],
  [':smtp', '', 'smtp'],
  ['127.0.0.1:submission', '127.0.0.1', 'submission'],
  ['[::1]:587', '::1', '587'],
] as const) {
  test(`an inet service called ${name} listens on port ${port} of "${host}"`, () => {
    assert.deepEqual(splitInetName(name), { host, port });
  });
}

test('parsePort knows numbers and names, and refuses all else', () => {
  assert.equal(parsePort('2525'), 2525);
  assert.equal(parsePort('smtp'), 25);
  for (const bad of ['0', '65536', 'no-such-service']) assert.throws(() => parsePort(bad));
});

for (const argv of [['-x'], ['word'], ['-c'], ['-e', '0'], ['-t', '-w'], ['-i', '-w'], ['-D']]) {
  test(`master refuses ${argv.join(' ')}`, () => {
    assert.throws(() => parseMasterOptions(argv));
  });
}

test('master reads bundled options', () => {
  const options = parseMasterOptions(['-wvv', '-c/etc/x']);
  assert.deepEqual([options.wait, options.verbose, options.configDirectory], [true, 2, '/etc/x']);
});

test('a status message is three words in the order of the machine', () => {
  const bytes = Buffer.from('965900000800000001000000'.padEnd(24, '0').slice(0, 24), 'hex');
  bytes.writeInt32LE(1, 8);
  assert.deepEqual(readStatusMessage(bytes, 0), { pid: 22934, generation: 8, free: 1 });
});

test('a daemon gets nothing of our environment but what main.cf names', () => {
  const environment = daemonEnvironment(
    {
      imported: 'TZ, LANG=C NOT_SET',
      configDirectory: '/etc/x',
      logTag: 'postfix',
      postlogSocket: undefined,
      hostname: 'mx',
    },
    { TZ: 'UTC', PATH: '/bin', HOME: '/root', NODE_EXTRA_CA_CERTS: '/ca', NODE_OPTIONS: '-r x' },
  );
  assert.deepEqual(environment, {
    TZ: 'UTC',
    LANG: 'C',
    MAIL_CONFIG: '/etc/x',
    MAIL_LOGTAG: 'postfix',
  });
});
