import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseMainCf } from '../../../lib/config/main-cf.ts';
import { parseMasterCf } from '../../../lib/config/master-cf.ts';

const FILE = '/etc/postfix/main.cf';

test('main.cf: continuation lines, comments within them, and the last of two settings', () => {
  const text = `# comment
foo = a
  b
# inside

  c\t
  # still inside
d=
foo = $d # not a comment
`;
  const warnings: string[] = [];
  const settings = parseMainCf(text, FILE, (warning) => warnings.push(warning));
  assert.deepEqual(
    [...settings.values()],
    [
      { name: 'foo', value: '$d # not a comment', origin: { file: FILE, line: 9 } },
      { name: 'd', value: '', origin: { file: FILE, line: 8 } },
    ],
  );
  assert.deepEqual(warnings, [`${FILE}, line 9: overriding earlier entry: foo=a  b  c`]);
});

for (const [text, message] of [
  ['a = b\nbad line here\n', `${FILE}, line 2: missing '=' after attribute name: "bad line here"`],
  ['two words = x\n', `${FILE}, line 1: missing '=' after attribute name: "two words = x"`],
  ['= x\n', `${FILE}, line 1: missing attribute name: "= x"`],
] as const) {
  test(`main.cf: ${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => parseMainCf(text, FILE), { message });
  });
}

test('main.cf: a first line that is indented is ignored, with a warning', () => {
  const warnings: string[] = [];
  const settings = parseMainCf('  a = b\nc = d\n', FILE, (warning) => warnings.push(warning));
  assert.deepEqual([...settings.keys()], ['c']);
  assert.deepEqual(warnings, [`${FILE}: logical line must not start with whitespace: "  a = b"`]);
});

const MASTER = '/etc/postfix/master.cf';

test('master.cf: fields, defaults and arguments', () => {
  const text = `smtp inet n - y - - smtpd
# between
  -o a=b -o { c = d e } { f  g }
pickup unix - n - 60? 0 pickup
`;
  const [smtp, pickup] = parseMasterCf(text, MASTER);
  assert.deepEqual(smtp?.args, ['-o', 'a=b', '-o', 'c = d e', 'f  g']);
  assert.equal(smtp?.private, false);
  assert.equal(smtp?.chroot, true);
  assert.equal(smtp?.unpriv, true);
  assert.equal(smtp?.maxproc, undefined);
  assert.deepEqual(smtp?.origin, { file: MASTER, line: 1 });
  assert.equal(pickup?.private, true);
  assert.equal(pickup?.unpriv, false);
  assert.equal(pickup?.chroot, false);
  assert.deepEqual(pickup?.wakeup, { seconds: 60, onlyIfUsed: true });
  assert.equal(pickup?.maxproc, 0);
});

for (const [line, why] of [
  ['smtp inet n - y - - ', 'bad field count'],
  ['smtp tcp n - y - - smtpd', 'invalid type field "tcp" in "smtp tcp n - y - - smtpd"'],
  ['smtp inet x - y - - smtpd', 'invalid private field "x" in "smtp inet x - y - - smtpd"'],
  ['smtp inet n - x - - smtpd', 'invalid chroot field "x" in "smtp inet n - x - - smtpd"'],
  ['smtp inet n - y 1s - smtpd', 'invalid wakeup field "1s" in "smtp inet n - y 1s - smtpd"'],
  [
    'smtp inet n - y - 1? smtpd',
    'invalid process_limit field "1?" in "smtp inet n - y - 1? smtpd"',
  ],
  ['smtp inet n - y - - smtpd -o {a', 'missing \'}\' in "{a"'],
] as const) {
  test(`master.cf: ${line} is refused, with its line`, () => {
    assert.throws(() => parseMasterCf(`# first\n${line}\n`, MASTER), {
      message: `file ${MASTER}: line 2: ${why}`,
    });
  });
}
