import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommandEnd, commandOutcome } from '../../../lib/delivery/command-status.ts';

const exit = (status: number): CommandEnd => ({ kind: 'exit', status });

// As real local(8) 3.7.11 logged them.
const CASES: readonly [CommandEnd, output: string, kind: string, status: string, text: string][] = [
  [exit(3), '', 'bounced', '5.3.0', 'Command died with status 3: "cmd"'],
  [
    exit(1),
    'oops ',
    'bounced',
    '5.3.0',
    'Command died with status 1: "cmd". Command output: oops ',
  ],
  [exit(67), '', 'bounced', '5.1.1', 'user unknown'],
  [
    exit(69),
    'some output ',
    'bounced',
    '5.3.0',
    'service unavailable. Command output: some output ',
  ],
  [exit(75), '', 'deferred', '4.3.0', 'temporary failure'],
  [exit(71), '', 'deferred', '4.3.0', 'system resource problem'],
  [exit(77), '', 'bounced', '5.7.0', 'permission denied'],
  [exit(78), '', 'bounced', '5.3.5', 'local configuration error'],
  [exit(75), '5.2.2 over quota ', 'bounced', '5.2.2', 'over quota '],
  [exit(1), '4.2.2 over quota ', 'deferred', '4.2.2', 'over quota '],
  [
    exit(1),
    '2.0.0 fine ',
    'bounced',
    '5.3.0',
    'Command died with status 1: "cmd". Command output: 2.0.0 fine ',
  ],
  [{ kind: 'signal', signal: 9 }, '', 'deferred', '4.3.0', 'Command died with signal 9: "cmd"'],
  [{ kind: 'timeout' }, '', 'bounced', '5.3.0', 'Command time limit exceeded: "cmd"'],
];

for (const [end, output, kind, status, text] of CASES) {
  test(`${JSON.stringify(end)}, output "${output}": ${kind} ${status} (${text})`, () => {
    const outcome = commandOutcome(end, 'cmd', output);
    assert.deepEqual([outcome?.kind, outcome?.status, outcome?.text], [kind, status, text]);
  });
}

test('exit status 0 is a delivery, whatever the output says', () => {
  assert.equal(commandOutcome(exit(0), 'cmd', '5.1.1 no'), undefined);
});
