/**
 * One message over one session: MAIL, RCPT, DATA, the message, and what the server says to each.
 * Pipelined where the server can; the order of replies is the same either way.
 */

import { sleep } from '../../lib/clock/clock.ts';
import type { Outcome } from '../../lib/delivery/outcome.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import { DELIVERY_FLAG, type DeliveryRequest } from '../../lib/delivery/request.ts';
import type { Status } from '../../lib/dsn/status.ts';
import { QueueFileError } from '../../lib/queue/queue-file-error.ts';
import type { Reply } from '../../lib/smtp/reply.ts';
import { formatMail, formatRcpt, formatXforward, SMTPUTF8_REQUESTED } from './commands.ts';
import { ContentCheckError } from './content-checks.ts';
import type { Ledger, Where } from './ledger.ts';
import { type OutgoingOptions, outgoing } from './outgoing.ts';
import { SessionError, type SmtpSession } from './session.ts';
import type { Settings } from './settings.ts';
import {
  brokenTrouble,
  type CommandName,
  localDataTrouble,
  oneLine,
  ownTrouble,
  type Stage,
  saidTrouble,
  type Trouble,
} from './trouble.ts';

export interface Transfer {
  readonly session: SmtpSession;
  readonly request: DeliveryRequest;
  readonly settings: Settings;
  readonly ledger: Ledger;
  readonly lastHost: boolean;
  /** The session is kept for other mail: no QUIT. */
  readonly keep: boolean;
  /** Addresses as the server is to see them (smtp_generic_maps). */
  readonly sender: string;
  addressOf(recipient: Recipient): string;
  readonly content: Pick<OutgoingOptions, 'message' | 'filter'> & { readonly converted: boolean };
  warn(text: string): void;
}

/** An address probe: nothing is to be delivered. */
const PROBE = DELIVERY_FLAG.MTA_VRFY | DELIVERY_FLAG.USR_VRFY;

/** Sends the message. All that happens to its recipients goes into the ledger. */
export async function transfer(job: Transfer): Promise<void> {
  const refusal = foreseenRefusal(job);
  if (refusal !== undefined) {
    await job.ledger.fail(job.ledger.open, refusal.trouble, whereOf(job));
    job.session.spent = refusal.hangUp;
    return;
  }
  const dialogue = new Dialogue(job);
  try {
    await dialogue.run();
  } catch (error) {
    job.session.spent = true;
    if (error instanceof SessionError) {
      const broken = brokenTrouble(job.session.peer, error.how, dialogue.stage);
      await job.ledger.fail(job.ledger.open, broken, whereOf(job));
    } else if (error instanceof ContentCheckError) {
      job.warn(`${job.request.queueId}: ${error.message}`);
      await job.ledger.fail(job.ledger.open, localDataTrouble(job.session.peer), whereOf(job));
    } else if (error instanceof QueueFileError) {
      // Without the final dot the server throws away what it has.
      job.warn(error.message);
      const damaged = ownTrouble('4.3.0', 'unreadable mail queue entry', false);
      await job.ledger.fail(job.ledger.open, damaged, whereOf(job));
    } else {
      throw error;
    }
  }
}

/** What the server would refuse anyway, told without bothering it. */
function foreseenRefusal({
  session,
  request,
}: Transfer): { readonly trouble: Trouble; readonly hangUp: boolean } | undefined {
  const { features, peer } = session;
  if (features.sizeLimit > 0 && features.sizeLimit < request.contentSize) {
    const sizes = `message size ${request.contentSize} exceeds size limit ${features.sizeLimit}`;
    const trouble = ownTrouble('5.3.4', `${sizes} of server ${peer.label}`, false);
    return { trouble, hangUp: true };
  }
  const requested = (request.sendOptions & SMTPUTF8_REQUESTED) !== 0;
  const needed = (request.sendOptions & ~SMTPUTF8_REQUESTED) !== 0;
  if (requested && needed && !features.smtputf8) {
    const reason = `SMTPUTF8 is required, but was not offered by host ${peer.label}`;
    return { trouble: ownTrouble('5.6.7', reason, false), hangUp: false };
  }
  return undefined;
}

function whereOf({ session, lastHost }: Transfer): Where {
  return { relay: session.peer.relay, connUse: session.uses, lastHost };
}

class Dialogue {
  /** What is being waited for. */
  stage: Stage = 'sending MAIL FROM';
  readonly #job: Transfer;
  readonly #pipelined: boolean;

  constructor(job: Transfer) {
    this.#job = job;
    this.#pipelined = job.session.features.pipelining;
  }

  async run(): Promise<void> {
    const { session, settings, ledger } = this.#job;
    const recipients = ledger.open;
    const lines = this.#lines(recipients);
    if (this.#pipelined) session.send(`${lines.all.join('\r\n')}\r\n`);

    await this.#forward(lines.forward);
    this.stage = 'sending MAIL FROM';
    const mail = await this.#ask(lines.mail, settings.mailMs);
    const welcome = isPositive(mail);
    if (!welcome) {
      await this.#failAll(mail, 'MAIL FROM command');
      if (!this.#pipelined) return this.#abort();
    }

    this.stage = 'sending RCPT TO';
    const accepted: Recipient[] = [];
    for (const [index, recipient] of recipients.entries()) {
      const reply = await this.#ask(lines.rcpt[index] ?? '', settings.rcptMs);
      if (!welcome) continue;
      if (isPositive(reply)) {
        accepted.push(recipient);
        if (lines.data === undefined) await this.#sent(recipient, reply);
      } else {
        await this.#fail(recipient, reply, 'RCPT TO command');
      }
    }
    if (lines.data === undefined) return this.#abort();
    if (accepted.length === 0 && !this.#pipelined) return this.#abort();

    this.stage = 'sending DATA command';
    const data = await this.#ask(lines.data, settings.dataInitMs);
    if (data.code < 300 || data.code > 399) {
      await this.#failAll(data, 'DATA command');
      return this.#abort();
    }
    if (this.#isProbe) {
      // There is no way out of DATA but to hang up.
      session.spent = true;
      for (const recipient of accepted) await this.#sent(recipient, data);
      return;
    }
    if (accepted.length === 0) {
      this.stage = 'sending end of data -- message may be sent more than once';
      session.quitSent = !this.#job.keep;
      session.send(session.quitSent ? '.\r\nQUIT\r\n' : '.\r\n');
      await session.reply(settings.dataDoneMs);
      return;
    }
    await this.#sendMessage();
    await this.#readVerdicts(accepted);
  }

  /** Takes leave in the middle; a session that is kept gets its RSET when it is used again. */
  #abort(): void {
    if (this.#job.keep) return;
    this.#job.session.send('RSET\r\n');
    this.#job.session.resetSent = true;
  }

  get #isProbe(): boolean {
    return (this.#job.request.flags & PROBE) !== 0;
  }

  #lines(recipients: readonly Recipient[]) {
    const { session, request, settings, sender, addressOf, content } = this.#job;
    const { features } = session;
    const quoted = settings.quoteEnvelope;
    const xforward = settings.sendXforward ? formatXforward(request, features.xforward) : {};
    const forward = [xforward.nameAddress, xforward.protocolHelo];
    const mail = formatMail({ sender, quoted, features, converted: content.converted, request });
    const rcpt = recipients.map((recipient) =>
      formatRcpt({ address: addressOf(recipient), recipient, quoted, features }),
    );
    // A probe ends after RCPT, unless its verdict only comes at DATA.
    const data = this.#isProbe && settings.verifyTarget !== 'data' ? undefined : 'DATA';
    const all = [...forward, mail, ...rcpt, data].filter((line) => line !== undefined);
    return { forward, mail, rcpt, data, all };
  }

  /** A pipelined command is on its way already. */
  #ask(line: string, timeoutMs: number): Promise<Reply> {
    if (!this.#pipelined) this.#job.session.send(`${line}\r\n`);
    return this.#job.session.reply(timeoutMs);
  }

  async #forward([nameAddress, protocolHelo]: readonly (string | undefined)[]): Promise<void> {
    if (nameAddress !== undefined) {
      this.stage = 'sending XFORWARD name/address';
      await this.#askForward(nameAddress, 'XFORWARD name/address command');
    }
    if (protocolHelo !== undefined) {
      this.stage = 'sending XFORWARD protocol/helo_name';
      await this.#askForward(protocolHelo, 'XFORWARD helo/protocol command');
    }
  }

  async #askForward(line: string, name: string): Promise<void> {
    const { session, settings, warn } = this.#job;
    const reply = await this.#ask(line, settings.xforwardMs);
    if (isPositive(reply)) return;
    warn(`host ${session.peer.label} said: ${oneLine(reply)} (in reply to ${name})`);
  }

  async #sendMessage(): Promise<void> {
    const { session, request, settings, content, keep } = this.#job;
    this.stage = 'sending message body';
    const quit = this.#pipelined && !keep;
    const chunks = outgoing({
      ...content,
      contentOffset: request.contentOffset,
      contentSize: request.contentSize,
      lineLimit: settings.lineLengthLimit,
      epilogue: quit ? 'QUIT\r\n' : '',
    });
    let held: Buffer | undefined;
    for await (const chunk of chunks) {
      if (held !== undefined) await session.write(held, settings.dataXferMs);
      held = chunk;
    }
    if (held !== undefined && session.features.delayDot) held = await this.#delayDot(held, quit);
    if (held !== undefined) await session.write(held, settings.dataXferMs);
    session.quitSent = quit;
    session.transcript?.said(quit ? '.\r\nQUIT' : '.');
    this.stage = 'sending end of data -- message may be sent more than once';
  }

  /** Sends all but the final line in packets of their own. */
  async #delayDot(last: Buffer, quit: boolean): Promise<Buffer> {
    const { session, settings } = this.#job;
    const dot = last.length - (quit ? '.\r\nQUIT\r\n' : '.\r\n').length;
    await session.write(last.subarray(0, dot), settings.dataXferMs);
    await sleep(settings.pixDelayMs);
    return last.subarray(dot);
  }

  /** One reply for the message; in LMTP one for each accepted recipient. */
  async #readVerdicts(accepted: readonly Recipient[]): Promise<void> {
    const { session, settings } = this.#job;
    if (!settings.lmtp) {
      const reply = await session.reply(settings.dataDoneMs);
      if (!isPositive(reply)) return await this.#failAll(reply, 'end of DATA command');
      for (const recipient of accepted) await this.#sent(recipient, reply);
      return;
    }
    for (const recipient of accepted) {
      const reply = await session.reply(settings.dataDoneMs);
      if (isPositive(reply)) await this.#sent(recipient, reply);
      else await this.#fail(recipient, reply, 'end of DATA command');
    }
  }

  async #sent(recipient: Recipient, reply: Reply): Promise<void> {
    const { session, settings, ledger } = this.#job;
    const { dsn } = session.features;
    const status = (reply.status.startsWith('2') ? reply.status : '2.0.0') as Status<2>;
    const outcome: Outcome = {
      kind: 'sent',
      status,
      text: oneLine(reply),
      relay: session.peer.relay,
      connUse: session.uses,
      action: settings.assumeFinal && !dsn ? 'delivered' : 'relayed',
      diagnostic: { type: 'smtp', text: oneLine(reply) },
      remoteMta: { type: 'dns', name: session.peer.name },
    };
    await ledger.sent(recipient, outcome, dsn);
  }

  async #fail(recipient: Recipient, reply: Reply, command: CommandName): Promise<void> {
    const { session, ledger } = this.#job;
    session.transcript?.failed(reply);
    await ledger.fail([recipient], saidTrouble(session.peer, reply, command), whereOf(this.#job));
  }

  async #failAll(reply: Reply, command: CommandName): Promise<void> {
    const { session, ledger } = this.#job;
    session.transcript?.failed(reply);
    await ledger.fail(ledger.open, saidTrouble(session.peer, reply, command), whereOf(this.#job));
  }
}

function isPositive({ code }: Reply): boolean {
  return code >= 200 && code < 300;
}
