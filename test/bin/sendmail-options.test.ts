/** The command line of sendmail: what each option asks for. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRequest, type Request } from '../../bin/sendmail/request.ts';

const parse = (line: string, name = 'sendmail') =>
  parseRequest(name, line === '' ? [] : line.split(' '));

const ASKED: readonly (readonly [line: string, wanted: Partial<Request>])[] = [
  ['a b', { mode: 'deliver', recipients: ['a', 'b'], dotEnds: true, context: 'local' }],
  ['-- -a', { recipients: ['-a'] }],
  ['-f x@y a', { sender: 'x@y', recipients: ['a'] }],
  ['-fx@y a', { sender: 'x@y' }],
  ['-r x a', { sender: 'x' }],
  ['-f <> a', { sender: '' }],
  ['-i a', { dotEnds: false }],
  ['-oi a', { dotEnds: false }],
  ['-oi -om -o7 -oem a', { dotEnds: false, recipients: ['a'] }],
  ['-t', { extractRecipients: true }],
  ['-ti', { extractRecipients: true, dotEnds: false }],
  ['-G a', { context: 'remote' }],
  ['-B 8BITMIME a', { encoding: '8bit' }],
  ['-N success,delay a', { notify: 10 }],
  ['-N NEVER a', { notify: 1 }],
  ['-R hdrs a', { returns: 2 }],
  ['-V QQ1 a', { envelopeId: 'QQ1' }],
  ['-XV a', { verp: '' }],
  ['-XV+= a', { verp: '+=' }],
  ['-bv a', { trace: 512 }],
  ['-v a', { trace: 1024, verbose: 0 }],
  ['-vv a', { trace: 1024, verbose: 1 }],
  ['-bp', { mode: 'mailq' }],
  ['-bi', { mode: 'newaliases' }],
  ['-I', { mode: 'newaliases' }],
  ['-oA/etc/x -bi', { mode: 'newaliases', aliasFile: '/etc/x' }],
  ['-bs', { mode: 'stand-alone' }],
  ['-bd', { mode: 'daemon' }],
  ['-bd -q15m', { mode: 'daemon' }],
  ['-q', { mode: 'flush' }],
  ['-v -q', { mode: 'flush' }],
  ['-qRsite', { mode: 'flush-site', what: 'site' }],
  ['-qIABC', { mode: 'flush-message', what: 'ABC' }],
  ['-q30m a', { mode: 'nothing' }],
  ['-bh', { mode: 'nothing' }],
  ['-C /etc/x/main.cf a', { directory: '/etc/x' }],
  ['-C /etc/x a', { directory: '/etc/x' }],
  ['-Ac -Am -U -h 5 -L tag -n -O a=b -p x -x -m -e q -c a', { mode: 'deliver', recipients: ['a'] }],
];

for (const [line, wanted] of ASKED) {
  test(`sendmail ${line}`, () => {
    const request = parse(line);
    for (const [name, value] of Object.entries(wanted)) {
      assert.deepEqual(request[name as keyof Request], value, name);
    }
    assert.deepEqual(request.warnings, []);
  });
}

test('mailq and newaliases are sendmail by another name', () => {
  assert.equal(parse('', 'mailq').mode, 'mailq');
  assert.equal(parse('', 'newaliases').mode, 'newaliases');
  assert.equal(parse('-q', 'mailq').mode, 'flush');
});

const REFUSED: readonly (readonly [line: string, text: string])[] = [
  ['-bz', 'unsupported: -bz'],
  ['-Xf', 'unsupported: -Xf'],
  ['-Z', 'usage: sendmail [options]'],
  ['-f', 'usage: sendmail [options]'],
  ['-t -bs', '-t can be used only in delivery mode'],
  ['-bv -t', '-t option cannot be used with -bv'],
  ['-B x a', '-B option needs 8BITMIME or 7BIT'],
  ['-bd x', 'daemon mode requires no recipient'],
  ['-bp x', 'display queue mode requires no recipient'],
  ['-q x', 'flush queue mode requires no recipient'],
  ['-bi x', 'alias initialization mode requires no recipient'],
  ['-bs x', 'stand-alone mode requires no recipient'],
  ['-qR', 'specify: -qRsitename'],
  ['-qI', 'specify: -qIqueueid'],
  ['-qS', '-qS is not implemented'],
  ['-qRx -bp', '-qR can be used only in delivery mode'],
  ['-oA a', '-oA requires pathname'],
];

for (const [line, text] of REFUSED) {
  test(`sendmail ${line} is refused`, () => {
    assert.throws(() => parse(line), { message: text });
  });
}

const WARNED: readonly (readonly [line: string, warnings: readonly string[]])[] = [
  [
    '-N foo a',
    ['unknown DSN NOTIFY command value "foo" in "foo"', 'bad -N option value -- ignored'],
  ],
  ['-N never,delay a', ['bad -N option value -- ignored']],
  ['-R x a', ['bad -R option value -- ignored']],
  ['-V \x01 a', ['bad syntax in -V option value -- ignored']],
  ['-f a,b c', ['-f option specified malformed sender: a,b']],
];

for (const [line, warnings] of WARNED) {
  test(`sendmail ${JSON.stringify(line)} goes on after a warning`, () => {
    assert.deepEqual(parse(line).warnings, warnings);
  });
}
