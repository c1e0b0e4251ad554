/**
 * The same record streams through the real cleanup and through ours, in one instance of the real
 * Postfix: queue files, replies and log lines have to be the same.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../../support/condition.ts';
import { CASES } from './exchange-cases.ts';
import { noRealPostfix, startRealPostfix } from './real-postfix.ts';
import { comparable, message, type Outcome, submit } from './submission.ts';

for (const { title, main, files, cases } of CASES) {
  test(`cleanup writes what the real one writes: ${title}`, { skip: noRealPostfix }, async (t) => {
    const postfix = await startRealPostfix(t, {
      ...(main && { main }),
      ...(files && { files }),
      master: ['ours unix n - n - 0 ours-cleanup'],
    });
    for (const [name, submission] of Object.entries(cases)) {
      await t.test(name, async () => {
        const theirs = await submit(postfix.queue, 'cleanup', submission);
        const ours = await submit(postfix.queue, 'ours', submission);
        assert.deepEqual(comparable(ours), comparable(theirs));
        // Each ends with a message that is logged, so that all before it is there.
        const marks = [
          await submit(postfix.queue, 'cleanup', MARK),
          await submit(postfix.queue, 'ours', MARK),
        ];
        await eventually('log lines', () =>
          marks.every(({ queueId }) => postfix.log().includes(`${queueId}: message-id=`)),
        );
        assert.deepEqual(linesAbout(postfix.log(), ours), linesAbout(postfix.log(), theirs));
      });
    }
  });
}

const MARK = message({ content: ['Message-Id: <mark@x.test>', '', 'mark'] });

/** Everything that was logged about a message, by cleanup. */
function linesAbout(log: string, { queueId }: Outcome): string[] {
  return (
    log
      .split('\n')
      .filter((line) => /\/(?:ours-)?cleanup\[\d+\]: /.test(line) && line.includes(queueId))
      // The real one names a function of its own where the queue id should be.
      // A way that leads in a circle is told by ours alone.
      .filter((line) => !/_maps: \S+ -> .*; see /.test(line))
      .filter((line) => !/unexpected (?:record type \d+ in message content|EOF in data)/.test(line))
      .map((line) => line.replace(/^.*?\/(?:ours-)?cleanup\[\d+\]: /, ''))
      .map((line) => line.replaceAll(queueId, 'QID').replace(/<\d{14}\.QID@/g, '<TIME.QID@'))
      .map((line) => line.replace(/delays?=[\d./]+/g, 'delay=N'))
      .map((line) => line.slice(0, 600))
  );
}
