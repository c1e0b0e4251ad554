/** An old compatibility_level: both mail systems do the same by it, and say the same of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { MAKERS, runTool, startSystemOf } from './makers.ts';

const LINE = /using backwards-compatible/;

/** A dash is a chroot, below level 1. */
const MASTER = [
  'pickup unix n - n 60 1 pickup',
  'cleanup unix n - n - 0 cleanup',
  'qmgr unix n - n 300 1 qmgr',
  'rewrite unix - - n - - trivial-rewrite',
  'bounce unix - - n - 0 bounce',
  'defer unix - - n - 0 bounce',
  'trace unix - - n - 0 bounce',
  'flush unix n - n 1000? 0 flush',
  'retry unix - - n - - error',
  'smtp unix - - n - - smtp',
  'relay unix - - n - - smtp',
  'local unix - n n - - local',
  'old unix - - - - - discard',
  'older unix - - - - - discard',
];

test('what an old compatibility_level decides is said as Postfix says it', {
  skip: whyNoPostfix(),
}, async (t) => {
  const said = await Promise.all(
    MAKERS.map(async (maker) => {
      const mail = await startSystemOf(t, maker, {
        relayPort: 1,
        only: MASTER,
        main: {
          compatibility_level: '0',
          mydestination: 'lab.test',
          relay_transport: 'retry:down',
          default_transport: 'retry:down',
        },
      });
      const recipients = ['joe@host', 'joe@localhost', 'joe@Sub.Lab.Test'];
      assert.equal(runTool(maker, mail, 'sendmail', recipients, 'Subject: x\n\n').status, 0);
      // Postfix's postdrop may not reach the socket in a directory of ours.
      runTool(maker, mail, 'postkick', ['public', 'pickup', 'W']);
      await mail.waitForLog(/to=<joe@Sub.Lab.Test>/i);
      await mail.waitForLog(/update fast-flush logfile for domain/);
      const flush = runTool(maker, mail, 'postqueue', ['-s', 'sub.lab.test']);
      assert.equal(runTool(maker, mail, 'postfix', ['reload']).status, 0);
      await mail.waitForLog(/reload --/);
      await mail.waitForLog(/line 14: using.* chroot=y/);
      mail.stop();
      const lines = `${mail.log()}${flush.stderr}`.split('\n').filter((line) => LINE.test(line));
      const neutral = (line: string) =>
        line
          .replace(/^.*?(?=post(?:fix|queue)(?:\/|\[|:))/, '')
          .replace(/\[\d+\]/, '')
          .replace(mail.directory, 'DIR');
      return [...new Set(lines.map(neutral))].sort();
    }),
  );
  assert.deepEqual(said[0], said[1]);
  assert.ok(said[1] && said[1].length > 5, said[1]?.join('\n'));
});
