import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatMacros, parseMacroDefaults } from '../../../lib/milter/macros.ts';
import {
  type MilterParameters,
  parseEndpoint,
  parseMilters,
} from '../../../lib/milter/settings.ts';
import { defaultVerdict, HOLD, parseReply, TEMPFAIL } from '../../../lib/milter/verdict.ts';

const PARAMETERS = {
  milter_connect_timeout: 30,
  milter_command_timeout: 30,
  milter_content_timeout: 300,
  milter_default_action: 'tempfail',
  milter_protocol: '6',
} as MilterParameters;

const USUAL = {
  connectSeconds: 30,
  commandSeconds: 30,
  contentSeconds: 300,
  defaultAction: 'tempfail',
  protocol: '6',
};

test('a list of milters, some with settings of their own', () => {
  assert.deepEqual(
    parseMilters(
      'inet:localhost:1, unix:/run/m { inet:h:2, connect_timeout=2m, { default_action = accept },protocol=2 command_timeout=5 }',
      PARAMETERS,
    ),
    [
      { name: 'inet:localhost:1', ...USUAL },
      { name: 'unix:/run/m', ...USUAL },
      {
        name: 'inet:h:2',
        ...USUAL,
        connectSeconds: 120,
        commandSeconds: 5,
        defaultAction: 'accept',
        protocol: '2',
      },
    ],
  );
  assert.deepEqual(parseMilters('', PARAMETERS), []);
});

for (const [text, message] of [
  ['{}', /empty milter definition/],
  ['{ inet:h:1 what=1 }', /unknown option: "what = 1"/],
  ['{ inet:h:1 protocol }', /missing '=' after attribute name/],
  ['{ inet:h:1 connect_timeout=soon }', /connect_timeout/],
] as const) {
  test(`no milters: ${text}`, () => {
    assert.throws(() => parseMilters(text, PARAMETERS), { name: 'FatalError', message });
  });
}

test('where milters listen', () => {
  const endpoints: Readonly<Record<string, unknown>> = {
    'inet:127.0.0.1:8891': { host: '127.0.0.1', port: 8891 },
    'inet:[::1]:8891': { host: '::1', port: 8891 },
    'inet:8891@mail.test': { host: 'mail.test', port: 8891 },
    'inet:mail.test:smtp': { host: 'mail.test', port: 25 },
    'inet:8891': { host: 'localhost', port: 8891 },
    'unix:opendkim/opendkim.sock': { path: 'opendkim/opendkim.sock' },
    'local:/run/x': { path: '/run/x' },
  };
  for (const [name, endpoint] of Object.entries(endpoints)) {
    assert.deepEqual(parseEndpoint(name), endpoint, name);
  }
  assert.throws(() => parseEndpoint('opendkim'), /needs transport:endpoint instead of "opendkim"/);
  assert.throws(
    () => parseEndpoint('inet6:h:1'),
    /invalid transport name: inet6 in Milter service/,
  );
  assert.throws(() => parseEndpoint('inet:h:none'), /unknown service name "none"/);
});

test('macros are those of the list that have a value, or a default', async () => {
  const defaults = parseMacroDefaults('x=one, {y}=two { z = three four }');
  const known: Readonly<Record<string, string>> = { j: 'mx', '{mail_addr}': '' };
  const text = await formatMacros(
    'j, {x} y {y}\t{z} i {mail_addr} {none}',
    (name) => (name === '{mail_addr}' ? Promise.resolve(known[name]) : known[name]),
    defaults,
  );
  assert.equal(text, 'j\0mx\0{x}\0one\0y\0two\0{y}\0two\0{z}\0three four\0{mail_addr}\0\0');
  assert.throws(() => parseMacroDefaults('x'), /milter_macro_defaults: "x"/);
});

test('replies that a milter may want to be sent', () => {
  const replies: Readonly<Record<string, string | undefined>> = {
    '550 5.7.1 no': '550 5.7.1 no',
    '451-4.7.1 a\r\n451 4.7.1 b': '451-4.7.1 a\r\n451 4.7.1 b',
    '550 5.7.1 100%% %s': '550 5.7.1 100% s',
    '250 2.0.0 ok': undefined,
    '550 4.7.1 mixed': undefined,
    '550 no': undefined,
    '55 5.7.1': undefined,
    '': undefined,
  };
  for (const [given, text] of Object.entries(replies)) {
    const expected = text === undefined ? undefined : { kind: 'reply', text };
    assert.deepEqual(parseReply(given, false), expected, given);
  }
  const soft = parseReply('550-5.7.1 a\r\n550 5.7.1 b', true);
  assert.deepEqual(soft, { kind: 'reply', text: '450-4.7.1 a\r\n450 4.7.1 b' });
});

test('what becomes of mail when a milter is gone', () => {
  assert.equal(defaultVerdict('accept'), undefined);
  assert.equal(defaultVerdict('Quarantine'), HOLD);
  assert.equal(defaultVerdict('tempfail'), TEMPFAIL);
  assert.match(JSON.stringify(defaultVerdict('reject')), /550 5\.5\.0 Service unavailable/);
  assert.match(JSON.stringify(defaultVerdict('shutdown')), /421 4\.7\.1 Service unavailable/);
  assert.equal(defaultVerdict('what'), 'unknown');
});
