/**
 * Delivery mode of sendmail(1): one message from the standard input into the mail system.
 */
import { addressTokens, internalText, parse } from '../../lib/address/token.ts';
import { CLEANUP_STATUS } from '../../lib/clients/cleanup.ts';
import { openAuthorizedUsers } from '../../lib/config/authorized-users.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { lookupUser, type User } from '../../lib/os/identity.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { RecordWriter } from '../../lib/queue/record-writer.ts';
import { openTable } from '../../lib/table/table.ts';
import { standardInput } from '../options/standard-input.ts';
import { openDoor } from './door.ts';
import { InputRecords } from './input-records.ts';
import { canUseMaildrop, openMaildrop } from './maildrop.ts';
import { type Request, TRACE } from './request.ts';
import { MailSystemDownError, type SubmissionSink } from './submission-sink.ts';

/** The message leaves in pieces of this size. */
const BATCH_BYTES = 64 * 1024;

export interface Terminal {
  warn(text: string): void;
  print(text: string): void;
}

/**
 * @throws {FatalError} when the message was not taken: nothing of it remains
 */
export async function enqueue(
  request: Request,
  configuration: Configuration,
  terminal: Terminal,
): Promise<void> {
  const user = ownUser();
  const sender = request.sender ?? user.name;
  const who = `${sender}(${user.uid})`;
  if (request.verp !== undefined && sender === '') {
    throw new FatalError(`${who}: -V option requires non-null sender address`);
  }
  if (request.trace & TRACE.verify && request.extractRecipients) {
    throw new FatalError('-t option cannot be used with -bv');
  }
  const sink = await openSink(configuration, terminal);
  try {
    const given = await send(sink, { request, configuration, sender, user });
    if (given === 0) {
      throw new FatalError(
        request.extractRecipients
          ? `${who}: No recipient addresses found in message header`
          : `${who}: Recipient addresses must be specified on the command line or via the -t option`,
      );
    }
    const { status, reason } = await sink.finish();
    if (status !== 0) throw new FatalError(refusal(status, reason, who));
  } finally {
    sink.abort();
  }
  if (request.trace !== 0) {
    terminal.print(`Mail Delivery Status Report will be mailed to <${sender}>.\n`);
  }
}

function refusal(status: number, reason: string, who: string): string {
  if ((status & CLEANUP_STATUS.NOPERM) !== 0 && reason !== '') return reason;
  return `${who}: ${reason || statusText(status)}`;
}

function statusText(status: number): string {
  const { BAD, RCPT, HOPS, SIZE, CONT, WRITE, DEFER } = CLEANUP_STATUS;
  const texts: [number, string][] = [
    [DEFER, 'service unavailable'],
    [BAD, 'internal protocol error'],
    [RCPT, 'no recipients specified'],
    [HOPS, 'too many hops'],
    [SIZE, 'message file too big'],
    [CONT, 'message content rejected'],
    [WRITE, 'queue file write error'],
  ];
  return texts.find(([bit]) => (status & bit) !== 0)?.[1] ?? `unknown status ${status}`;
}

function ownUser(): User {
  const uid = process.getuid?.() ?? 0;
  const user = lookupUser(uid);
  if (user === undefined) throw new FatalError(`no login name found for user ID ${uid}`);
  return user;
}

async function openSink(configuration: Configuration, terminal: Terminal): Promise<SubmissionSink> {
  const path = `public/${configuration.get('pickup_service_name')}`;
  try {
    return await openDoor(path, configuration.get('ipc_timeout') * 1000);
  } catch (error) {
    if (!(error instanceof MailSystemDownError)) throw error;
    if (canUseMaildrop()) {
      await requireSubmitter(configuration);
      return openMaildrop(configuration, (text) => terminal.warn(`postdrop: warning: ${text}`));
    }
    throw new FatalError(
      `the mail system is down (${error.message}): only root can leave mail for it now; ` +
        `run "postfix start", or try again later`,
    );
  }
}

/** pickup asks the same while the mail system runs. @throws {FatalError} */
async function requireSubmitter(configuration: Configuration): Promise<void> {
  const uid = process.getuid?.() ?? 0;
  const users = openAuthorizedUsers(configuration, 'authorized_submit_users', (name) =>
    openTable(name, { configuration }),
  );
  const refused = await users.refused(uid);
  if (refused === undefined) return;
  throw new FatalError(`User ${refused}(${uid}) is not allowed to submit mail`);
}

interface Mail {
  readonly request: Request;
  readonly configuration: Configuration;
  readonly sender: string;
  readonly user: User;
}

/** @returns how many recipients the message has */
async function send(sink: SubmissionSink, mail: Mail): Promise<number> {
  const { request, configuration } = mail;
  const output = new RecordWriter();
  let count = writeEnvelope(output, mail);
  // Nobody is written to: don't wait for the input.
  if (count === 0 && !request.extractRecipients) return 0;
  output.record(RECORD.message);
  if (request.trace & TRACE.verify) {
    writeProbe(output, mail);
    output.record(RECORD.extracted);
  } else {
    const input = new InputRecords(output, {
      dotEnds: request.dotEnds,
      lineEndings: lineEndings(configuration.get('sendmail_fix_line_endings')),
      lineLimit: configuration.get('line_length_limit'),
      headerLimit: configuration.get('header_size_limit'),
      extractRecipients: request.extractRecipients,
    });
    if (!(await copyInput(input, output, sink))) return 1;
    output.record(RECORD.extracted);
    if (request.extractRecipients) {
      const limit = configuration.get('line_length_limit');
      for (const recipient of input.recipients) {
        writeRecipient(output, request, fitting(recipient, limit));
      }
      count += input.recipients.length;
    }
  }
  if (count === 0) return 0;
  output.record(RECORD.end);
  await sink.write(output.take());
  return count;
}

/** @returns false when the message is not wanted any more */
async function copyInput(
  input: InputRecords,
  output: RecordWriter,
  sink: SubmissionSink,
): Promise<boolean> {
  try {
    for await (const chunk of standardInput()) {
      const more = input.take(chunk as Buffer);
      if (output.pending > BATCH_BYTES && !(await sink.write(output.take()))) return false;
      if (!more) break;
    }
  } catch (error) {
    throw new FatalError(`error reading input: ${(error as Error).message}`);
  }
  input.end();
  return true;
}

function writeEnvelope(output: RecordWriter, { request, configuration, sender, user }: Mail) {
  const { envelopeId, returns, encoding, trace, verp } = request;
  const limit = configuration.get('line_length_limit');
  const attribute = (name: string, value: string | number) =>
    output.record(RECORD.attribute, `${name}=${value}`);
  if (envelopeId !== undefined) attribute('envelope_id', envelopeId);
  if (returns !== 0) attribute('ret_flags', returns);
  attribute('rewrite_context', request.context);
  const fullName = request.fullName ?? process.env['NAME'] ?? gecosName(user);
  if (fullName !== '') output.record(RECORD.fullName, fitting(fullName, limit));
  output.record(RECORD.sender, fitting(sender, limit));
  if (encoding !== undefined) attribute('encoding', encoding);
  if (trace !== 0) attribute('trace_flags', trace);
  if (verp !== undefined) output.record(RECORD.verp, verpDelimiters(verp, configuration));
  let count = 0;
  for (const list of request.recipients) {
    for (const address of addressTokens(parse(list))) {
      writeRecipient(output, request, fitting(internalText(address.head), limit));
      count += 1;
    }
  }
  return count;
}

/** pickup takes no record that is longer than a line may be. */
function fitting(text: string, limit: number): string {
  if (Buffer.byteLength(text) <= limit) return text;
  throw new FatalError(`name or address too long: ${text.slice(0, 100)}...`);
}

function writeRecipient(output: RecordWriter, { notify }: Request, address: string): void {
  if (notify !== 0) output.record(RECORD.attribute, `notify_flags=${notify}`);
  output.record(RECORD.recipient, address);
}

/** -bv: nothing is delivered, but a message is needed to find out how it would be. */
function writeProbe(output: RecordWriter, { request, sender }: Mail): void {
  output.record(RECORD.text, `From: ${sender}`);
  output.record(RECORD.text, 'Subject: probe');
  if (request.recipients.length === 0) return;
  output.record(RECORD.longText, 'To:');
  for (const [index, recipient] of request.recipients.entries()) {
    const comma = index + 1 < request.recipients.length ? ',' : '';
    output.record(RECORD.text, `\t${recipient}${comma}`);
  }
}

/** The first field of GECOS; `&` in it is the login name with a capital. */
function gecosName({ gecos, name }: User): string {
  const capital = name.charAt(0).toUpperCase() + name.slice(1);
  return (gecos.split(',')[0] ?? '').replaceAll('&', capital);
}

function verpDelimiters(given: string, configuration: Configuration): string {
  const filter = configuration.get('verp_delimiter_filter');
  const delimiters = given === '' ? configuration.get('default_verp_delimiters') : given;
  const good = delimiters.length === 2 && [...delimiters].every((one) => filter.includes(one));
  if (!good) throw new FatalError(`-V requires two characters from ${filter}`);
  return delimiters;
}

function lineEndings(text: string): 'always' | 'strict' | 'never' {
  if (text === 'always' || text === 'strict' || text === 'never') return text;
  throw new FatalError(`unknown sendmail_fix_line_endings value: ${text}`);
}
