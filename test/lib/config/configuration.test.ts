import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Configuration, loadConfiguration } from '../../../lib/config/configuration.ts';
import type { ParameterName } from '../../../lib/config/parameters.ts';
import { freshDirectory } from '../../support/directories.ts';
import { writeSettled } from '../../support/settled-file.ts';

function configure(t: TestContext, text: string, overrides?: string[]): Configuration {
  const directory = freshDirectory(t);
  writeSettled(join(directory, 'main.cf'), text);
  return loadConfiguration({ directory, overrides, serviceName: 'smtp', processName: 'smtpd' });
}

for (const [name, text, value] of [
  ['soft_bounce', 'Yes', true],
  ['soft_bounce', undefined, false],
  ['smtputf8_enable', undefined, false],
  ['line_length_limit', '512', 512],
  ['message_size_limit', '5000000000', 5_000_000_000],
  ['smtp_helo_timeout', undefined, 300],
  ['smtp_helo_timeout', '5m', 300],
  ['maximal_queue_lifetime', '2', 172_800],
  ['maximal_queue_lifetime', '1w', 604_800],
  ['maximal_backoff_time', undefined, 4000],
  ['unknown_local_recipient_reject_code', undefined, 550],
  ['mydestination', '$mydomain, x', 'b.test, x'],
  ['forward_path', '$home/f', '$home/f'],
  ['process_name', undefined, 'smtpd'],
  ['service_name', undefined, 'smtp'],
] as const) {
  test(`${name} = ${text ?? '(its default)'} is ${value}`, (t) => {
    const line = text === undefined ? '' : `${name} = ${text}\n`;
    const level = 'compatibility_level = 0\nmyhostname = a.b.test\n';
    assert.equal(configure(t, level + line).get(name as ParameterName), value);
  });
}

for (const [line, why] of [
  ['soft_bounce = true', 'bad boolean configuration: soft_bounce = true'],
  ['soft_bounce =', 'bad boolean configuration: soft_bounce = '],
  ['line_length_limit = abc', 'bad numerical configuration: line_length_limit = abc'],
  [
    'body_checks_size_limit = 2147483648',
    'bad numerical configuration: body_checks_size_limit = 2147483648',
  ],
  ['line_length_limit = 100', 'invalid line_length_limit parameter value 100 < 512'],
  ['ipc_timeout = 0', 'invalid ipc_timeout: 0 (min 1)'],
  ['maximal_queue_lifetime = 101d', 'invalid maximal_queue_lifetime: 8726400 (max 8640000)'],
  ['smtpd_timeout = 5q', 'parameter smtpd_timeout: bad time value or unit: 5q'],
  ['smtpd_timeout = 1 h', 'parameter smtpd_timeout: bad time value or unit: 1 h'],
  ['smtpd_timeout = -5', 'parameter smtpd_timeout: bad time value or unit: -5'],
  ['myhostname =', 'bad string length 0 < 1: myhostname = '],
  [
    'info_log_address_format = both',
    'invalid parameter setting "info_log_address_format = both", it should be external or internal',
  ],
] as const) {
  test(`${line} is refused in Postfix's words, with its place`, (t) => {
    const configuration = configure(t, `# first\n${line}\n`);
    const name = line.split(' ')[0] as ParameterName;
    assert.throws(() => configuration.get(name), {
      text: why,
      line: 2,
      message: `${why} (${configuration.directory}/main.cf, line 2)`,
    });
  });
}

test('a host name that is none is refused', (t) => {
  const configuration = configure(t, 'myhostname = bad..name\n');
  assert.throws(
    () => configuration.get('myhostname'),
    /parameter myhostname: bad parameter value: bad\.\.name/,
  );
});

test('a reference to itself names the parameter and the line', (t) => {
  const configuration = configure(t, 'a = $a\nrelayhost = $a\n');
  assert.throws(
    () => configuration.get('relayhost'),
    /macro processing error: unreasonable macro call nesting: "a", in relayhost \(.*line 2\)/,
  );
});

test('-o wins over main.cf, and the last -o over the others', (t) => {
  const configuration = configure(t, 'relayhost = a\n', ['relayhost=b', 'relayhost = c d', 'x=y']);
  assert.equal(configuration.get('relayhost'), 'c d');
  assert.equal(configuration.text('x'), 'y');
  assert.deepEqual(configuration.origin('relayhost'), { file: 'option -o', line: 0 });
});

test('the same configuration, but for a setting, is another', (t) => {
  const usual = configure(t, 'postscreen_command_time_limit = ${stress?{3}:{30}}s\n');
  const stressed = usual.but('stress=yes');
  const name = 'postscreen_command_time_limit';
  assert.deepEqual([usual.get(name), stressed.get(name)], [30, 3]);
});

test('select gives the values of the names, frozen', (t) => {
  const values = configure(t, '').select(['smtp_helo_timeout', 'soft_bounce']);
  assert.deepEqual({ ...values }, { smtp_helo_timeout: 300, soft_bounce: false });
  assert.ok(Object.isFrozen(values));
});

test('a transport has its own limits, or the defaults', (t) => {
  const configuration = configure(
    t,
    'slow_destination_rate_delay = 2m\ndefault_destination_concurrency_limit = 7\n',
  );
  const value = (transport: string, suffix: string) =>
    configuration.valueForTransport(transport, suffix);
  assert.equal(value('slow', 'destination_rate_delay'), 120);
  assert.equal(value('fast', 'destination_rate_delay'), 0);
  assert.equal(value('fast', 'destination_concurrency_limit'), 7);
  assert.equal(value('local', 'destination_concurrency_limit'), 2);
  assert.equal(value('fast', 'initial_destination_concurrency'), 5);
  assert.equal(value('fast', 'no_such_thing'), undefined);
  assert.equal(configuration.forTransport('slow', 'destination_rate_delay'), '2m');
  assert.equal(configuration.forTransport('fast', 'destination_concurrency_limit'), '7');
  assert.equal(configuration.forTransport('fast', 'no_such_thing'), undefined);
});

test('the names of the machine are complete', (t) => {
  const configuration = configure(t, '');
  const name = configuration.get('myhostname');
  assert.ok(name.startsWith(hostname()) && name.includes('.'));
  assert.equal(configuration.get('mydomain'), name.slice(name.indexOf('.') + 1));
  assert.equal(configure(t, 'myhostname = a.b.c\n').get('mydomain'), 'b.c');
});

test('mynetworks follows inet_interfaces and mynetworks_style', (t) => {
  const networks = (text: string) =>
    configure(t, `inet_protocols = ipv4\n${text}`).get('mynetworks');
  assert.equal(networks('inet_interfaces = 127.0.0.1\nmynetworks_style = host\n'), '127.0.0.1/32');
  assert.equal(networks('inet_interfaces = 127.0.0.1\nmynetworks_style = subnet\n'), '127.0.0.0/8');
  assert.equal(networks('inet_interfaces = localhost\nmynetworks_style = class\n'), '127.0.0.0/8');
  assert.throws(
    () => networks('inet_interfaces = no-such-host.invalid\n'),
    /config variable inet_interfaces: host not found: no-such-host\.invalid/,
  );
  assert.throws(
    () => networks('inet_protocols = foo\n'),
    /unknown inet_protocols value "foo" in "foo"/,
  );
});

test('a missing main.cf is an error', () => {
  assert.throws(() => loadConfiguration({ directory: '/nonexistent' }), {
    message: 'open /nonexistent/main.cf: No such file or directory',
  });
});
