/** master refuses an inet service that says it is private, in Postfix's words. */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS } from '../support/condition.ts';
import { daemonDirectory, whyNoPostfix } from '../support/real-postfix.ts';
import { MAKERS, NAMES, startSystemOf } from './makers.ts';

for (const maker of MAKERS) {
  for (const column of ['y', '-']) {
    test(`${NAMES[maker]}'s master refuses an inet service with private column ${column}`, {
      skip: maker === 'real' && whyNoPostfix(),
    }, async (t) => {
      const mail = await startSystemOf(t, maker, { relayPort: 1, stopped: true });
      if (maker === 'ours') mail.run('postfix', ['check']);
      const path = join(mail.config, 'master.cf');
      const line = `127.0.0.1:0 inet ${column} - n - - smtpd\n`;
      writeFileSync(path, `# first\n${line}postlog unix-dgram n - n - 1 postlogd\n`);
      const { NODE_EXTRA_CA_CERTS: _, ...environment } = process.env;
      // Our postfix(1) finds it before master does.
      const [program, ...args] =
        maker === 'ours'
          ? [`${daemonDirectory(maker)}/master`, '-w']
          : ['/usr/sbin/postfix', '-c', mail.config, 'start'];
      const { status } = spawnSync(program as string, args, {
        env: { ...environment, MAIL_CONFIG: mail.config },
        timeout: PATIENCE_MS,
      });
      assert.equal(status, 1);
      const fatal = await mail.waitForLog(/master\[\d+\]: fatal: /);
      assert.ok(fatal.endsWith(`fatal: ${path}: line 2: inet service cannot be private`), fatal);
    });
  }
}
