import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  formatNotify,
  parseMailParameters,
  parseRcptParameters,
} from '../../../lib/smtp/arguments.ts';

const RULES = { dsn: true, smtputf8: true, verpDelimiters: '-=+' };
const words = (text: string) => (text === '' ? [] : text.split(' '));

const MAIL: Record<string, object> = {
  '': {},
  'SIZE=1000 body=8bitmime': { size: 1000, body: '8BITMIME' },
  'BODY=7BIT': { body: '7BIT' },
  SMTPUTF8: { smtputf8: true },
  'RET=FULL ENVID=QQ+2B1': { ret: 1, envid: 'QQ+1' },
  'ret=hdrs': { ret: 2 },
  'AUTH=<>': { auth: '<>' },
  XVERP: { verp: '' },
  'XVERP=+=': { verp: '+=' },
  'SIZE=00000000000000000000001': { size: 1 },
};
for (const [text, expected] of Object.entries(MAIL)) {
  test(`MAIL FROM:<a> ${text}`, () => {
    const none = { body: '', smtputf8: false, ret: 0, envid: '' };
    assert.deepEqual(parseMailParameters(words(text), RULES), { ...none, ...expected });
  });
}

const MAIL_REFUSED: Record<string, string> = {
  'SIZE=': '501 5.5.4 Bad message size syntax',
  'SIZE=1k': '501 5.5.4 Bad message size syntax',
  'SIZE=9223372036854775808': '552 5.3.4 Message size exceeds file system imposed limit',
  'AUTH=<> AUTH=<>': '503 5.5.4 Error: multiple AUTH= options',
  'XVERP=xy': '501 5.5.4 Error: XVERP needs two characters from -=+',
  'RET=SOME': '501 5.5.4 Bad RET parameter syntax',
  'RET=FULL RET=FULL': '501 5.5.4 Bad RET parameter syntax',
  'ENVID=a+0Ab': '501 5.5.4 Bad ENVID parameter syntax',
  'ENVID=a+b': '501 5.5.4 Bad ENVID parameter syntax',
  'ENVID=': '501 5.5.4 Bad ENVID parameter syntax',
  'ENVID=a ENVID=b': '501 5.5.4 Bad ENVID parameter syntax',
  'BODY=BINARYMIME': '555 5.5.4 Unsupported option: BODY=BINARYMIME',
  'FOO=BAR': '555 5.5.4 Unsupported option: FOO=BAR',
  SIZE: '555 5.5.4 Unsupported option: SIZE',
};
for (const [text, refusal] of Object.entries(MAIL_REFUSED)) {
  test(`MAIL FROM:<a> ${text} is refused: ${refusal}`, () => {
    assert.deepEqual(parseMailParameters(words(text), RULES), { refusal });
  });
}

test('what is switched off is refused', () => {
  assert.deepEqual(parseMailParameters(['RET=FULL'], { dsn: false }), {
    refusal: '501 5.7.1 DSN support is disabled',
  });
  assert.deepEqual(parseMailParameters(['SMTPUTF8'], { dsn: true }), {
    refusal: '555 5.5.4 Unsupported option: SMTPUTF8',
  });
  assert.deepEqual(parseMailParameters(['XVERP'], { dsn: true }), {
    refusal: '555 5.5.4 Unsupported option: XVERP',
  });
  assert.deepEqual(parseRcptParameters(['NOTIFY=NEVER'], { dsn: false }), {
    refusal: '501 5.7.1 DSN support is disabled',
  });
});

const RCPT: Record<string, object> = {
  '': { notify: 0, orcpt: '' },
  'NOTIFY=NEVER': { notify: 1, orcpt: '' },
  'notify=success,Delay': { notify: 10, orcpt: '' },
  'NOTIFY=DELAY,,DELAY': { notify: 8, orcpt: '' },
  'ORCPT=rfc822;Bob+40example.com': { notify: 0, orcpt: 'rfc822;Bob@example.com' },
  'ORCPT=utf-8;b\\x{F6}b@example.com': { notify: 0, orcpt: 'utf-8;böb@example.com' },
};
for (const [text, expected] of Object.entries(RCPT)) {
  test(`RCPT TO:<b> ${text}`, () => {
    assert.deepEqual(parseRcptParameters(words(text), RULES), expected);
  });
}

const BAD_NOTIFY = '501 5.5.4 Error: Bad NOTIFY parameter syntax';
const BAD_ORCPT = '501 5.5.4 Error: Bad ORCPT parameter syntax';
const RCPT_REFUSED: Record<string, string> = {
  'NOTIFY=': BAD_NOTIFY,
  'NOTIFY=NEVER,SUCCESS': BAD_NOTIFY,
  'NOTIFY=,': BAD_NOTIFY,
  'NOTIFY=DELAY NOTIFY=DELAY': BAD_NOTIFY,
  'ORCPT=bob@example.com': BAD_ORCPT,
  'ORCPT=;bob': BAD_ORCPT,
  'ORCPT=rfc822;a+0Ab': BAD_ORCPT,
  'ORCPT=rfc822;a+4': BAD_ORCPT,
  'ORCPT=rfc822;a ORCPT=rfc822;b': BAD_ORCPT,
  'SIZE=1': '555 5.5.4 Unsupported option: SIZE=1',
};
for (const [text, refusal] of Object.entries(RCPT_REFUSED)) {
  test(`RCPT TO:<b> ${text} is refused: ${refusal}`, () => {
    assert.deepEqual(parseRcptParameters(words(text), RULES), { refusal });
  });
}

test('a word of NOTIFY that nobody knows is named', () => {
  assert.deepEqual(parseRcptParameters(['NOTIFY=DELAY,SOMETIMES'], RULES), {
    refusal: BAD_NOTIFY,
    warning: 'unknown DSN NOTIFY command value "SOMETIMES" in "DELAY,SOMETIMES"',
  });
});

test('NOTIFY is written as it is read', () => {
  assert.equal(formatNotify(1), 'NEVER');
  assert.equal(formatNotify(2 | 4 | 8), 'SUCCESS,FAILURE,DELAY');
});
