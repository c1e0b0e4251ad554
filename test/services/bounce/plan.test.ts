/** Who gets which notice, where no real Postfix is at hand. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type NoticeRules,
  type Plan,
  planDelay,
  planFailure,
  planTrace,
  verpSender,
} from '../../../services/bounce/plan.ts';

const rules = (classes: string): NoticeRules => ({
  classes: new Set(classes.split(' ')),
  doubleBounce: 'double-bounce@mx.test',
  bounceRecipient: 'b@mx.test',
  doubleBounceRecipient: 'bb@mx.test',
  delayRecipient: 'd@mx.test',
});

const brief = ({ notices, warning, note }: Plan) => [
  ...notices.map((each) => `${each.template} <${each.from}> ${each.to} ${each.attach}`),
  ...(warning === undefined ? [] : [warning]),
  ...(note === undefined ? [] : [note]),
];

const ALL = 'bounce 2bounce delay';
const DISCARDED = 'undeliverable postmaster notification discarded';
const DOUBLE = 'Double-Bounce@mx.test';

for (const [what, plan, expected] of [
  ['failure, quiet', planFailure('a@b', rules('')), ['failure <> a@b asked']],
  [
    'failure, with a copy',
    planFailure('a@b', rules(ALL)),
    ['failure <> a@b asked', 'failure <double-bounce@mx.test> b@mx.test headers'],
  ],
  ['failure of the null sender, quiet', planFailure('', rules('delay')), []],
  [
    'failure of the null sender',
    planFailure('', rules('2bounce')),
    ['failure <double-bounce@mx.test> bb@mx.test message'],
  ],
  ['failure of a double bounce', planFailure(DOUBLE, rules(ALL)), [DISCARDED]],
  [
    'delay',
    planDelay('a@b', rules(ALL)),
    ['delay <> a@b headers', 'delay <double-bounce@mx.test> d@mx.test headers'],
  ],
  ['delay of the null sender, quiet', planDelay('', rules('bounce 2bounce')), []],
  ['success', planTrace('a@b', false, rules('')), ['success <> a@b headers']],
  ['report', planTrace('a@b', true, rules('')), ['verify <> a@b headers']],
  [
    'success of the null sender',
    planTrace('', false, rules('bounce')),
    ['not sending trace/success notification for single-bounce message'],
  ],
  [
    'success of a double bounce',
    planTrace(DOUBLE, false, rules(ALL)),
    ['not sending trace/success notification for double-bounce message'],
  ],
] as const) {
  test(what, () => assert.deepEqual(brief(plan), expected));
}

test('a VERP sender carries the recipient', () => {
  assert.equal(verpSender('list@a.test', 'bob@b.test', '+='), 'list+bob=b.test@a.test');
  assert.equal(verpSender('list@a.test', 'bob', '-#'), 'list-bob@a.test');
});
