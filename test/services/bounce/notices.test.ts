/** Our notices are, record for record, those of real Postfix. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { atEnd } from '../../support/cleanup.ts';
import { writeSettled } from '../../support/settled-file.ts';
import { OUR_DAEMONS, offsetOf, REAL_DAEMONS, run, startInstance, whyNot } from './instance.ts';
import {
  append,
  logOf,
  MESSAGE,
  notice,
  play,
  QUEUE_ID,
  SENDER,
  type Step,
  told,
} from './scenarios.ts';

const SERVICES = ['bounce', 'defer', 'trace'] as const;
const LONG_REASON =
  'host 127.0.0.1[127.0.0.1] said: 550 5.1.1 no such user here, and this is a diagnostic text ' +
  `that is rather long  so that ${'w'.repeat(90)} wrapping takes place (in reply to RCPT TO command)`;

/** The same texts for both: ours are our own. */
function realTemplates(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'templates-'));
  atEnd(t, () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'bounce.cf');
  writeSettled(join(folder, 'main.cf'), 'compatibility_level = 3.6\n');
  writeFileSync(file, run('/usr/sbin/postconf', ['-c', folder, '-t']));
  return file;
}

async function compare(
  t: TestContext,
  parameters: Record<string, string>,
  steps: readonly Step[],
): Promise<void> {
  const settings = { bounce_template_file: realTemplates(t), ...parameters };
  const real = await play(await startInstance(t, REAL_DAEMONS, settings), steps);
  const ours = await play(await startInstance(t, OUR_DAEMONS, settings), steps);
  for (const [index, expected] of real.entries()) {
    await t.test(expected.name, () => assert.deepEqual(ours[index], expected));
  }
}

const skip = whyNot();

test('logs, and the notices made of them', { skip }, async (t) => {
  const first = offsetOf(MESSAGE, 'bad1@mix.test');
  const second = offsetOf(MESSAGE, 'bad 2@mix.test');
  const steps = SERVICES.flatMap((service): Step[] => {
    const refused = {
      address: 'bad1@mix.test',
      original: 'Orig@mix.test',
      offset: first,
      dsnOriginal: 'rfc822;bad1@mix.test',
      notify: 4,
      status: '5.1.1',
      action: 'failed',
      diagnostic: ['smtp', LONG_REASON],
      mta: ['dns', '127.0.0.1'],
      reason: LONG_REASON,
    } as const;
    const step = (name: string, rest: Omit<Step, 'name' | 'service'>): Step => ({
      name: `${service}: ${name}`,
      service,
      ...rest,
    });
    return [
      step('an entry with everything', { content: MESSAGE, attributes: append(refused) }),
      step('an entry with little, of an address that needs quotes', {
        attributes: append({
          address: 'bad 2@mix.test',
          original: '',
          offset: second,
          notify: 8,
          status: '4.3.0',
          action: 'delayed',
          reason: 'control \u0001 and\ttab é',
        }),
      }),
      step('the null recipient', {
        attributes: append({
          address: '',
          original: 'BAD@x.test',
          offset: 3,
          notify: 1,
          status: '5.1.0',
          action: 'failed',
          diagnostic: ['x-unix', 'temp'],
          reason: 'x',
        }),
      }),
      step('a delay notice', { attributes: notice(2, { envelopeId: 'env+2B1' }) }),
      step('a failure notice with all of the message', {
        attributes: notice(1, { sender: 'alice b@client.test', ret: 1, envelopeId: 'E"1' }),
      }),
      step('a failure notice without a log', { attributes: notice(1, { ret: 2 }) }),
      step('a failure notice without a message', {
        attributes: notice(1, { queueId: 'AAAAAAAA2', ret: 2 }),
      }),
      step('an entry of the oldest form', {
        log: '\n<old@x.test>: old style reason\n\n',
        attributes: notice(1),
      }),
      step('recipients who did not want to hear of failure', {
        log: logOf({ recipient: 'o@x.test', notify_flags: 8, status: '4.1.1', reason: 'r' }),
        attributes: notice(1),
      }),
      step('recipients who did not want to hear of delay', {
        log: logOf({ recipient: 'o@x.test', notify_flags: 4, status: '4.1.1', reason: 'r' }),
        attributes: notice(2),
      }),
      step('VERP', {
        log:
          logOf({
            recipient: 'o@x.test',
            original_recipient: 'p@x.test',
            status: '4.1.1',
            reason: 'r',
          }) + logOf({ recipient: 'o2@x.test', status: '4.1.1', action: 'delayed', reason: 'r2' }),
        attributes: [...notice(3), ['verp_delimiters', '+=']],
      }),
      ...[0, 512, 1024, 8192].map((flags) =>
        step(`a report with trace flags ${flags}`, {
          log: logOf({ recipient: 'o@x.test', status: '2.1.1', action: 'relayed', reason: 'r' }),
          attributes: notice(5, { flags, utf8: flags === 512 ? 1 : 0 }),
        }),
      ),
      step('one recipient', {
        attributes: [
          ...notice(4, { sender: 'owner@x.test' }),
          ...told({ ...refused, original: 'al@x.test', diagnostic: ['x-unix', 'exit 1'] }),
        ],
      }),
      step('one recipient with UTF-8', {
        attributes: [
          ...notice(4, { sender: 'öwner@x.test', utf8: 1 }),
          ...told({ ...refused, address: 'ónë@x.test', dsnOriginal: 'utf-8;al@x.test' }),
        ],
      }),
      step('SMTPUTF8 that only the header needs', {
        log: logOf({ recipient: 'ö@x.test', status: '5.1.1', reason: 'r' }),
        attributes: notice(1, { utf8: 2 }),
      }),
      step('recipients are marked when asked', {
        content: MESSAGE,
        log: logOf({ recipient: 'bad1@mix.test', offset: first, status: '4.1.1', reason: 'r' }),
        attributes: notice(1, { flags: 2 }),
      }),
      step('an unknown request', { attributes: [['nrequest', 99]] }),
      step('a queue id that is none', { attributes: notice(1, { queueId: '../x' }) }),
      step('a queue that is none', { attributes: notice(1, { queueName: 'nope' }) }),
    ];
  });
  await compare(t, {}, steps);
});

test('other settings: threads, small limits, no SMTPUTF8', { skip }, async (t) => {
  const settings = {
    enable_threaded_bounces: 'yes',
    smtputf8_enable: 'no',
    delay_warning_time: '4h',
    bounce_size_limit: '100',
    double_bounce_sender: 'dd',
    internal_mail_filter_classes: 'bounce',
    backwards_bounce_logfile_compatibility: 'no',
    notify_classes: 'bounce, 2bounce, delay',
  };
  const log = logOf({ recipient: 'o@x.test', status: '5.1.1', action: 'failed', reason: 'ré' });
  const withContent = (...lines: string[]) => [
    ...MESSAGE.slice(0, 8),
    ...lines.map((line) => ['N', line] as const),
    ['X', ''] as const,
    ['E', ''] as const,
  ];
  const flush = (name: string, rest: Partial<Step>): Step => ({
    name,
    service: 'bounce',
    log,
    content: MESSAGE,
    attributes: notice(1),
    ...rest,
  });
  await compare(t, settings, [
    flush('an entry without the line for people', {
      log: '',
      attributes: append({
        address: 'bad1@mix.test',
        status: '5.0.0',
        action: 'failed',
        reason: 'é',
      }),
    }),
    ...['', '7bit', '8bit', 'funny'].map((encoding) =>
      flush(`encoding "${encoding}"`, { attributes: notice(1, { encoding }) }),
    ),
    flush('a large message', { content: withContent('Subject: s', '', 'x'.repeat(200)) }),
    flush('headers that end without an empty line', {
      content: withContent('Subject: s', 'this is no header', 'Subject: t'),
      attributes: notice(1, { ret: 2 }),
    }),
    flush('a message that begins with its body', {
      content: withContent('', 'Subject: in the body'),
      attributes: notice(1, { ret: 2 }),
    }),
    flush('headers beyond the size limit', {
      content: withContent(`Subject: ${'y'.repeat(150)}`, 'To: b', '', 'z'),
    }),
    flush('a message-id in capitals', {
      content: withContent('MESSAGE-ID: <a@b>', 'To: b', '', 'z'),
    }),
    flush('no message-id', { content: withContent('Subject: s', '', 'Message-ID: <no@x>') }),
    flush('nothing but a header', { content: withContent('Received: from x') }),
    flush('the built-in name of the double bounce is nothing special', {
      attributes: notice(1, { sender: 'double-bounce@mx.lab.test' }),
    }),
  ]);
});

test('who gets which notice', { skip }, async (t) => {
  const recipients = {
    bounce_notice_recipient: 'b@lab.test',
    '2bounce_notice_recipient': 'bb@lab.test',
    delay_notice_recipient: 'd@lab.test',
  };
  const log = logOf({ recipient: 'o@x.test', status: '5.1.1', action: 'failed', reason: 'r' });
  const requests: Record<string, Step['attributes']> = {
    flush: notice(1),
    warn: notice(2),
    verp: [...notice(3), ['verp_delimiters', '+=']],
    trace: notice(5),
    one: [
      ...notice(4),
      ...told({
        address: 'o@x.test',
        original: 'al@x.test',
        status: '5.1.1',
        action: 'failed',
        reason: 'r',
      }),
    ],
  };
  const withSender = (attributes: Step['attributes'], sender: string) =>
    attributes.map(([name, value]) => [name, name === 'sender' ? sender : value] as const);
  const senders = [SENDER, '', 'Double-Bounce@mx.lab.test'];
  for (const classes of ['resource, software', 'bounce', '2bounce', 'delay']) {
    const steps = Object.entries(requests).flatMap(([kind, attributes]) =>
      senders
        // Nobody asks for VERP without a sender; and of a report on a double bounce that it does not
        // make, real Postfix leaves the log behind for ever.
        .filter((sender) => kind !== 'verp' || sender === SENDER)
        .filter((sender) => kind !== 'trace' || sender !== senders[2])
        .map(
          (sender): Step => ({
            name: `${kind} to <${sender}>, notify_classes ${classes}`,
            service: 'bounce',
            log,
            content: MESSAGE,
            attributes: withSender(attributes, sender),
          }),
        ),
    );
    await compare(t, { ...recipients, notify_classes: classes }, steps);
  }
});

test("a template of one's own", { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'own-template-'));
  atEnd(t, () => rmSync(folder, { recursive: true }));
  const file = join(folder, 'bounce.cf');
  writeFileSync(
    file,
    `# ours
failure_template = <<END
Charset: iso-8859-1
From: The machine <machine>
Subject: Sorry
Postmaster-Subject: Look

$mail_name at \${myhostname} waits $maximal_queue_lifetime_hours hours, $$5
  and is indented
END
`,
  );
  const log = logOf({ recipient: 'o@x.test', status: '5.1.1', action: 'failed', reason: 'r' });
  const variants: Record<string, string>[] = [
    {},
    { smtputf8_enable: 'no', header_from_format: 'obsolete' },
  ];
  for (const settings of variants) {
    const parameters = { bounce_template_file: file, notify_classes: 'bounce', ...settings };
    const steps = ['', '7bit', '8bit'].map(
      (encoding): Step => ({
        name: `encoding "${encoding}", ${JSON.stringify(settings)}`,
        service: 'bounce',
        log,
        content: MESSAGE,
        attributes: notice(1, { encoding }),
      }),
    );
    await compare(t, parameters, steps);
  }
});

test('the queue id is in every line of the log', { skip }, async (t) => {
  const log = logOf({ recipient: 'o@x.test', status: '5.1.1', action: 'failed', reason: 'r' });
  const steps: Step[] = [
    { name: 'failure', service: 'bounce', content: MESSAGE, log, attributes: notice(1) },
    { name: 'delay', service: 'bounce', log, attributes: notice(2) },
    { name: 'report', service: 'bounce', log, attributes: notice(5) },
    { name: 'null', service: 'bounce', log, attributes: notice(5, { sender: '' }) },
    {
      name: 'double',
      service: 'bounce',
      log,
      attributes: notice(1, { sender: 'double-bounce@mx.lab.test' }),
    },
    { name: 'unknown', service: 'bounce', attributes: [['nrequest', 77]] },
  ];
  const lines: string[][] = [];
  for (const daemons of [REAL_DAEMONS, OUR_DAEMONS]) {
    const instance = await startInstance(t, daemons, { delay_warning_time: '1h' });
    await play(instance, steps);
    await instance.waitForLog('unknown command: 77');
    const own = instance
      .log()
      .split('\n')
      .filter((line) => line.includes('/bounce['));
    lines.push(own.map((line) => line.replace(/^.*?\[\d+\]: /, '').replace(/C0FFEE\w+/, 'NEW')));
  }
  assert.deepEqual(lines[1], lines[0]);
  assert.ok(lines[1]?.includes(`${QUEUE_ID}: sender non-delivery notification: NEW`));
});
