/**
 * Record streams that no client would send: cleanup survives them all, and there is no message in
 * the queue that it did not say yes to.
 */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { startMailSystem } from '../../support/mail-system.ts';
import { isReadyFile } from '../../support/ready-file.ts';
import { type RecordText, toBytes } from '../../support/records.ts';
import { converse } from './converse.ts';
import { message, submit } from './submission.ts';

const TYPES = [...'CTcFILSDRO/WVA>K<iondMXNLwpreEPfdm', '\0', '\xff'];
const TEXTS = [
  ...['', '0', '1', '-1', '4294967296', '1700000000 5', 'al@x.test', 'a=b', 'notify_flags=2'],
  ...['rewrite_context=remote', 'trace_flags=256', 'encoding=8bit', 'dsn_orig_rcpt=rfc822;x'],
  ...['Received: x', 'Subject: x', ' fold', 'To: a, "b', 'From: (((', 'Bcc: <', '--b', '--b--'],
  ...['Content-Type: multipart/mixed; boundary=b', 'Content-Type: message/rfc822', '\0', '\r\n'],
  ...['\xff\xfe', '"', '@', '@@', 'a@', '@:b', '[', 'x'.repeat(3000), '(', '\\'],
];

/** With a milter cleanup would wait for what follows. */
const record = fc
  .tuple(fc.constantFrom(...TYPES), fc.constantFrom(...TEXTS))
  .map(([type, text]): readonly [string, string] =>
    type === 'm' && text === '1' ? ['m', '0'] : [type, text],
  );

/** A good message, with some records changed, added or left out. */
const nearlyGood = fc
  .array(fc.tuple(fc.nat(20), fc.option(record), fc.boolean()), { maxLength: 4 })
  .map((changes): readonly RecordText[] => {
    const records = [...message({ content: ['Subject: x', 'To: a, b', '', 'body'] }).records];
    for (const [at, put, replace] of changes) {
      records.splice(at % records.length, replace ? 1 : 0, ...(put === null ? [] : [put]));
    }
    return records;
  });

const anything = fc.array(record, { maxLength: 12 });

test('no record stream makes cleanup crash, or queue what it refused', async (t) => {
  const mail = await startMailSystem(t, {
    main: {
      in_flow_delay: '0',
      header_checks: 'regexp:{{/^Subject: y/ HOLD}}',
      virtual_alias_maps: 'inline:{a@b=c@d}',
      masquerade_domains: 'test',
    },
    only: [
      'cleanup unix n - n - 0 cleanup',
      'rewrite unix - - n - - trivial-rewrite',
      'bounce unix - - n - 0 bounce',
      'trace unix - - n - 0 bounce',
    ],
  });
  const ready = () =>
    ['incoming', 'hold'].flatMap((queue) =>
      readdirSync(join(mail.queue, queue)).filter((name) =>
        isReadyFile(join(mail.queue, queue, name)),
      ),
    );
  const flags = fc.constantFrom(178, 2, 32, 627 - 1, 1023 - 1);
  await fc.assert(
    fc.asyncProperty(fc.oneof(nearlyGood, anything), flags, async (records, wanted) => {
      const ended =
        records.some(([type]) => type === 'E') && !records.some(([type]) => type === 'm');
      const all: readonly RecordText[] = [...records, ['E', '']];
      const outcome = ended
        ? await submit(mail.queue, 'cleanup', { flags: wanted, records })
        : await submit(mail.queue, 'cleanup', { flags: wanted, records: all });
      if (outcome.queue !== '') assert.equal(outcome.status, '0');
      assert.deepEqual(ready(), []);
    }),
    { numRuns: 400 },
  );
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (noise) => {
      let told = false;
      await converse(
        join(mail.queue, 'public/cleanup'),
        () => {
          if (told) return 'end';
          told = true;
          const good = toBytes(message({ content: ['', 'x'] }).records.slice(0, 5));
          return Buffer.concat([Buffer.from('flags\x00178\0\0'), good, noise, Buffer.from('E\0')]);
        },
        { afterwards: 'half' },
      );
      assert.deepEqual(
        ready().filter((name) => mail.log().includes(`${name}: reject`)),
        [],
      );
    }),
    { numRuns: 100 },
  );
  assert.doesNotMatch(mail.log(), /panic|fatal|TypeError|RangeError/);
  const last = await submit(
    mail.queue,
    'cleanup',
    message({ content: ['Subject: still there', '', 'x'] }),
  );
  assert.equal(last.status, '0');
});
