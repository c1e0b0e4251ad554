/** import_environment and export_environment: what daemons, commands and users' programs get to see. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../support/condition.ts';
import { whyNoPostfix } from '../support/real-postfix.ts';
import { MAKERS, runTool, startSystemOf } from './makers.ts';

const TOKYO_MS = 9 * 3_600_000;
/** More than a test takes, and far less than a time zone. */
const TOLERANCE_MS = 600_000;

test('environments are as in Postfix', { skip: whyNoPostfix() }, async (t) => {
  process.env.PASSED_ON = 'from outside';
  process.env.KEPT_OUT = 'from outside';
  t.after(() => {
    delete process.env.PASSED_ON;
    delete process.env.KEPT_OUT;
  });
  const found = await Promise.all(
    MAKERS.map(async (maker) => {
      const mail = await startSystemOf(t, maker, {
        relayPort: 1,
        main: {
          import_environment:
            'MAIL_CONFIG MAIL_LOGTAG POSTLOG_SERVICE POSTLOG_HOSTNAME LANG=C PASSED_ON, NOWHERE { SPACED = a b } TZ=Asia/Tokyo EMPTY= PLAIN=c',
          export_environment: 'TZ PASSED_ON SPACED { OWN = x  y } UNSET PLAIN=d KEPT_OUT { EMPTY }',
        },
        stopped: true,
      });
      const dump = join(mail.directory, 'mail/environment');
      writeFileSync(
        join(mail.config, 'aliases'),
        `dump "|env >${dump}.new; mv ${dump}.new ${dump}"\n`,
      );
      mail.start();
      await mail.send({ from: 'root@lab.test', to: ['dump@lab.test', 'ann@far.test'] });
      await mail.waitForLog(/to=<ann@far.test>.*deferred/);
      await eventually('the dump of the environment', () => existsSync(dump));
      const listing = runTool(maker, mail, 'postqueue', ['-p']).stdout;
      const [, arrival = ''] = /^\w+\*?\s+\d+ (\w+ \w+ +\d+ [\d:]+)/m.exec(listing) ?? [];
      const year = new Date().getUTCFullYear();
      const shift = Date.parse(`${arrival} ${year} UTC`) - Date.now() - TOKYO_MS;
      assert.ok(Math.abs(shift) < TOLERANCE_MS, `${maker}: ${arrival}`);
      return readFileSync(dump, 'utf8').replaceAll(mail.directory, 'DIR').split('\n').sort();
    }),
  );
  assert.deepEqual(found[0], found[1]);
  assert.ok(found[1]?.includes('SPACED=a b'));
});
