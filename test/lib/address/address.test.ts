import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { quote, splitAddress, splitExtension, unquote } from '../../../lib/address/address.ts';

const FORMS: readonly (readonly [internal: string, external: string])[] = [
  ['', ''],
  ['bob', 'bob'],
  ['bob@example.com', 'bob@example.com'],
  ['bob+ext_1-x=y@example.com', 'bob+ext_1-x=y@example.com'],
  ['a.b.c@d', 'a.b.c@d'],
  ['odd user@d', '"odd user"@d'],
  ['.a@d', '".a"@d'],
  ['a.@d', '"a."@d'],
  ['a..b@d', '"a..b"@d'],
  ['a@b@c', '"a@b"@c'],
  ['a"b@c', '"a\\"b"@c'],
  ['a\\b@c', '"a\\\\b"@c'],
  ['@d', '""@d'],
  ['j\xc3\xb6rg@d', 'j\xc3\xb6rg@d'],
  ['jörg@d', 'jörg@d'],
  ['user@[10.1.2.3]', 'user@[10.1.2.3]'],
];

for (const [internal, external] of FORMS) {
  test(`${JSON.stringify(internal)} is written ${external}, and read back`, () => {
    assert.equal(quote(internal), external);
    assert.equal(unquote(external), internal);
  });
}

test('any local part without NUL survives quoting', () => {
  const local = fc.string({ minLength: 1 }).filter((text) => !text.includes('\0'));
  fc.assert(
    fc.property(local, (text) => {
      const address = `${text.replace(/^@/, '_')}@example.com`;
      assert.equal(unquote(quote(address)), address);
    }),
  );
});

test('unquote reads whatever it is given', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      assert.equal(typeof unquote(text), 'string');
    }),
  );
});

const SPLITS: readonly (readonly [address: string, local: string, domain: string])[] = [
  ['a@b', 'a', 'b'],
  ['a@b@c', 'a@b', 'c'],
  ['a', 'a', ''],
  ['a@', 'a', ''],
  ['@b', '', 'b'],
  ['', '', ''],
];

for (const [address, local, domain] of SPLITS) {
  test(`${JSON.stringify(address)} splits into ${local} and ${domain}`, () => {
    assert.deepEqual(splitAddress(address), { local, domain });
  });
}

const EXTENSIONS: readonly (readonly [
  local: string,
  delimiters: string,
  split: readonly [base: string, delimiter: string, extension: string] | undefined,
])[] = [
  ['user+ext', '+', ['user', '+', 'ext']],
  ['user+a+b', '+', ['user', '+', 'a+b']],
  ['user-a+b', '+-', ['user', '-', 'a+b']],
  ['user+', '+', ['user', '+', '']],
  ['user', '+', undefined],
  ['+ext', '+', undefined],
  ['user+ext', '', undefined],
  ['MAILER-DAEMON', '-', undefined],
  ['double-bounce', '-', undefined],
  ['owner-list', '-', undefined],
  ['list-request', '-', undefined],
  ['owner+list', '+', ['owner', '+', 'list']],
];

for (const [local, delimiters, split] of EXTENSIONS) {
  test(`${local} with delimiters "${delimiters}"`, () => {
    const found = splitExtension(local, delimiters);
    assert.deepEqual(found && [found.base, found.delimiter, found.extension], split);
  });
}

test('owner- and -request addresses are split when they are not special', () => {
  assert.equal(splitExtension('owner-list', '-', false)?.base, 'owner');
});
