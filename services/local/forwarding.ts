/**
 * Forwarding: mail for other addresses goes back into the queue as a new message, so that each of
 * them has a delivery status of its own. Postfix: local(8), MAIL FORWARDING.
 */
import { quote } from '../../lib/address/address.ts';
import { CLEANUP_FLAG, type CleanupMessage } from '../../lib/clients/cleanup.ts';
import { now, nowMicroseconds } from '../../lib/clock/clock.ts';
import { NOTIFY } from '../../lib/dsn/notify.ts';
import { formatDate } from '../../lib/message/date.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordWriter } from '../../lib/queue/record-writer.ts';
import type { Branch } from './branch.ts';
import type { Progress, Run } from './run.ts';

/** One new message under way: all recipients with one sender and one Delivered-To address. */
export interface Forwarding {
  readonly message: CleanupMessage;
  readonly records: RecordWriter;
  readonly delivered: string;
}

/** SMTPUTF8 was asked for. */
const SMTPUTF8_REQUESTED = 1;
/** Records leave for cleanup in pieces of this size. */
const WRITE_BYTES = 64 * 1024;

/** Adds a branch's address to the new message that it belongs to. */
export async function forward(run: Run, branch: Branch): Promise<Progress> {
  const { recipient, sender, delivered } = branch;
  if (run.duplicates.isRepeated('indirect', recipient.address)) return 'done';
  if (run.isProbe) return run.sent(branch, `forwards to ${recipient.address}`);
  const key = `${delivered}\0${sender}`;
  try {
    let forwarding = run.forwardings.get(key);
    if (forwarding === undefined) {
      forwarding = await open(run, branch);
      run.forwardings.set(key, forwarding);
    }
    addRecipient(forwarding.records, branch);
    return 'done';
  } catch (error) {
    run.warn(`unable to forward message: ${(error as Error).message}`);
    return run.failed(branch, '4.3.0', 'unable to forward message');
  }
}

async function open(run: Run, branch: Branch): Promise<Forwarding> {
  const { request } = run;
  const utf8 = (request.sendOptions & SMTPUTF8_REQUESTED) === 0 ? 0 : CLEANUP_FLAG.SMTPUTF8;
  const message = await run.local.cleanup.open(CLEANUP_FLAG.MAP_OK | utf8);
  const records = new RecordWriter();
  const { seconds, microseconds } = nowMicroseconds();
  records.record(RECORD.time, `${seconds} ${microseconds}`);
  records.record(RECORD.sender, branch.sender);
  const attributes: readonly (readonly [string, string | number])[] = [
    ['ret_flags', request.retFlags || ''],
    ['envelope_id', request.envelopeId],
    ['log_client_name', request.logClientName],
    ['log_client_address', request.logClientAddress],
    ['log_protocol_name', request.logClientProtocol],
    ['log_helo_name', request.logClientHelo],
    ['sasl_method', request.saslMethod],
    ['sasl_username', request.saslUsername],
    ['sasl_sender', request.saslSender],
    ['log_ident', request.logIdent],
    ['rewrite_context', request.rewriteContext],
  ];
  for (const [name, value] of attributes) {
    if (value !== '') records.record(RECORD.attribute, `${name}=${value}`);
  }
  return { message, records, delivered: branch.delivered };
}

function addRecipient(records: RecordWriter, { recipient }: Branch): void {
  const { notify, dsnOriginal, original, address } = recipient;
  if (notify !== 0) records.record(RECORD.attribute, `notify_flags=${notify}`);
  if (dsnOriginal !== '') records.record(RECORD.attribute, `dsn_orig_rcpt=${dsnOriginal}`);
  if (original !== '') records.record(RECORD.originalRecipient, original);
  records.record(RECORD.recipient, address);
}

/** Sends the new messages of a recipient, whose branches are all dealt with. */
export async function finishForwardings(run: Run, branch: Branch): Promise<Progress> {
  let progress: Progress = 'done';
  for (const forwarding of run.forwardings.values()) {
    if ((await finish(run, branch, forwarding)) === 'deferred') progress = 'deferred';
  }
  run.forwardings.clear();
  return progress;
}

/** Nothing of them remains: the recipient will be tried again as a whole. */
export function cancelForwardings(run: Run): void {
  for (const { message } of run.forwardings.values()) message.abort();
  run.forwardings.clear();
}

async function finish(run: Run, branch: Branch, forwarding: Forwarding): Promise<Progress> {
  const { message, records, delivered } = forwarding;
  let trouble: string;
  try {
    writeHead(run, records, message.queueId, delivered);
    await copyContent(run, forwarding);
    records.record(RECORD.extracted);
    records.record(RECORD.end);
    await message.write(records.take());
    const { status, reason } = await message.finish();
    if (status === 0) {
      const told = { ...branch, recipient: withoutSuccess(branch) };
      return run.sent(told, `forwarded as ${message.queueId}`, 'relayed');
    }
    trouble = `cleanup refused it with status ${status}${reason === '' ? '' : `: ${reason}`}`;
  } catch (error) {
    message.abort();
    trouble = (error as Error).message;
  }
  run.warn(`unable to forward message: ${trouble}`);
  return run.failed(branch, '4.3.0', 'unable to forward message');
}

/** The expansion of the list has been reported already. */
export function withoutSuccess({ recipient }: Branch): Branch['recipient'] {
  const { notify } = recipient;
  if ((notify & NOTIFY.success) === 0) return recipient;
  const rest = notify & ~NOTIFY.success;
  return { ...recipient, notify: rest === 0 ? NOTIFY.never : rest };
}

function writeHead(run: Run, records: RecordWriter, queueId: string, delivered: string): void {
  const { parameters, deliveredIn } = run.settings;
  records.record(RECORD.message);
  const line = (text: string) => records.record(RECORD.text, text.replace(/[\r\n\0]/g, '?'));
  line(`Received: by ${parameters.myhostname} (${parameters.mail_name})`);
  line(`\tid ${queueId}; ${formatDate(now())}`);
  if (deliveredIn.has('forward')) line(`Delivered-To: ${quote(delivered)}`);
}

async function copyContent(run: Run, { message, records }: Forwarding): Promise<void> {
  const reader = run.delivery.message.records(run.request.contentOffset);
  for (;;) {
    const step = reader.step();
    if (step === 'fill') {
      await reader.fill();
      continue;
    }
    if (step === 'end') throw reader.damaged('missing end record');
    if (reader.type === RECORD.extracted) return;
    if (reader.type !== RECORD.text && reader.type !== RECORD.longText) {
      if (reader.type === RECORD.padding) continue;
      throw reader.damaged(`unexpected record type '${reader.type}'`);
    }
    records.slice(reader.type, reader.bytes, reader.start, reader.end);
    if (records.pending >= WRITE_BYTES) await message.write(records.take());
  }
}
