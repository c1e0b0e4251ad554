import type { BounceService } from '../clients/bounce.ts';
import { RECIPIENT_STATUS } from '../clients/verify.ts';
import { nowMicroseconds, type WallTime } from '../clock/clock.ts';
import type { DsnDetail } from '../dsn/detail.ts';
import { NOTIFY, wantsDelay } from '../dsn/notify.ts';
import type { DeliveryStatus } from '../log/event.ts';
import type { QueueFile } from '../queue/queue-file.ts';
import { type DeliveryTimes, delaysOf } from './delivery-times.ts';
import { detailOf } from './detail.ts';
import type { Outcome } from './outcome.ts';
import type { Recipient } from './recipient.ts';
import type { Reporters } from './reporters.ts';
import { DELIVERY_FLAG, type DeliveryRequest, TRACE_FLAGS } from './request.ts';

const DONE: Promise<boolean> = Promise.resolve(true);

/**
 * Writes down what became of the recipients of one request: the log line, the entries for bounce,
 * defer, trace, verify and flush, and the mark in the queue file. The order makes a crash harmless:
 * a recipient is marked done only when whoever has to know of it has been told. ipc.md 3.3.
 */
export class Recording {
  readonly #request: DeliveryRequest;
  readonly #message: QueueFile;
  readonly #reporters: Reporters;
  readonly #flags: number;
  readonly #recorded = new Set<Recipient>();
  #connected: WallTime | undefined;
  #last: Promise<boolean> | undefined;
  #kept = 0;

  constructor(request: DeliveryRequest, message: QueueFile, reporters: Reporters) {
    this.#request = request;
    this.#message = message;
    this.#reporters = reporters;
    this.#flags = request.flags & TRACE_FLAGS;
  }

  /** How many of the recorded recipients stay in the queue. */
  get kept(): number {
    return this.#kept;
  }

  has(recipient: Recipient): boolean {
    return this.#recorded.has(recipient);
  }

  /** Another agent has logged and marked the recipient, or keeps it in the queue. */
  passedOn(recipient: Recipient, done: boolean): void {
    this.#recorded.add(recipient);
    if (!done) this.#kept += 1;
  }

  /** All that became of the recipient has been recorded, under recipients without an offset. */
  conclude(recipient: Recipient, done: boolean): void {
    this.passedOn(recipient, done);
    if (done) this.#markSent(recipient);
  }

  /** From when on the delays count as transmission. */
  set connected(time: WallTime | undefined) {
    this.#connected = time;
  }

  /**
   * Records one recipient, once; those of a message one after the other.
   *
   * @returns whether it is settled
   */
  record(recipient: Recipient, outcome: Outcome): Promise<boolean> {
    if (this.#recorded.has(recipient)) return this.#last ?? DONE;
    this.#recorded.add(recipient);
    const times = this.#timesNow();
    const { statusFilter } = this.#reporters;
    if (statusFilter !== undefined) return this.#inTurn(recipient, statusFilter(outcome), times);
    // The usual case needs nobody else.
    if (this.#last === undefined && outcome.kind === 'sent' && !this.#isReported(recipient)) {
      this.#log(recipient, outcome, times, outcome.status, 'sent', outcome.text);
      this.#markSent(recipient);
      return DONE;
    }
    return this.#inTurn(recipient, outcome, times);
  }

  /** Waits until all that was recorded is written down. */
  async settled(): Promise<void> {
    await this.#last;
  }

  #inTurn(
    recipient: Recipient,
    outcome: Outcome | Promise<Outcome>,
    times: DeliveryTimes,
  ): Promise<boolean> {
    const before = this.#last ?? DONE;
    const recorded = before.then(async () => this.#record(recipient, await outcome, times));
    this.#last = recorded;
    return recorded;
  }

  async #record(recipient: Recipient, outcome: Outcome, times: DeliveryTimes): Promise<boolean> {
    const done = await this.#tell(recipient, outcome, times);
    if (!done) this.#kept += 1;
    else if (outcome.kind === 'sent') this.#markSent(recipient);
    else this.#mark(recipient);
    return done;
  }

  /** @returns whether nothing is left to do for the recipient */
  #tell(recipient: Recipient, outcome: Outcome, times: DeliveryTimes): Promise<boolean> {
    if (this.#flags & DELIVERY_FLAG.MTA_VRFY) return this.#tellVerify(recipient, outcome, times);
    if (this.#flags & DELIVERY_FLAG.USR_VRFY) return this.#tellProbe(recipient, outcome, times);
    if (outcome.kind === 'sent') return this.#tellSent(recipient, outcome, times);
    if (outcome.kind === 'bounced') return this.#tellBounced(recipient, outcome, times);
    return this.#tellDeferred(recipient, outcome, times);
  }

  /** A probe of verify(8). */
  async #tellVerify(
    recipient: Recipient,
    outcome: Outcome,
    times: DeliveryTimes,
  ): Promise<boolean> {
    const { verify, verifyFailures } = this.#reporters;
    const { original, address } = recipient;
    const addresses = original === '' || original === address ? [address] : [original, address];
    if (outcome.kind !== 'sent' && !verifyFailures) {
      const status = 'undeliverable-but-not-cached';
      this.#log(recipient, outcome, times, outcome.status, status, outcome.text);
      return true;
    }
    try {
      for (const each of addresses) {
        const taken = await verify.update(each, VERIFY_STATUS[outcome.kind], outcome.text);
        if (!taken) throw new Error('verify service failure');
      }
    } catch (error) {
      this.#warn((error as Error).message);
      return false;
    }
    this.#logProbe(recipient, outcome, times);
    return true;
  }

  /** `sendmail -bv`. */
  async #tellProbe(recipient: Recipient, outcome: Outcome, times: DeliveryTimes): Promise<boolean> {
    const detail = { ...detailOf(outcome), action: probeStatus(outcome) };
    if (!(await this.#trace(recipient, outcome, detail))) return false;
    this.#logProbe(recipient, outcome, times);
    return true;
  }

  async #tellSent(recipient: Recipient, outcome: Outcome, times: DeliveryTimes): Promise<boolean> {
    const detail = detailOf(outcome);
    // Who asked for the report in two ways is reported twice: Postfix does so.
    for (const wanted of [this.#isTraced(recipient), wantsSuccess(recipient)]) {
      if (!wanted || (await this.#trace(recipient, outcome, detail))) continue;
      const text = `${this.#request.queueId}: trace service failed`;
      return this.#tellDeferred(recipient, trouble(outcome, text), times);
    }
    this.#log(recipient, outcome, times, outcome.status, 'sent', outcome.text);
    return true;
  }

  async #tellBounced(
    recipient: Recipient,
    outcome: Outcome,
    times: DeliveryTimes,
  ): Promise<boolean> {
    const { softBounce } = this.#reporters;
    const detail = softBounce ? softened(detailOf(outcome)) : detailOf(outcome);
    const appended = await this.#append(softBounce ? 'defer' : 'bounce', recipient, detail);
    if (!appended || !(await this.#traceIfRecorded(recipient, outcome, detail))) {
      const text = 'bounce or trace service failure';
      return this.#tellDeferred(recipient, trouble(outcome, text), times);
    }
    const status = softBounce ? 'SOFTBOUNCE' : 'bounced';
    this.#log(recipient, outcome, times, detail.status, status, outcome.text);
    return !softBounce;
  }

  /** It stays in the queue whatever fails here. */
  async #tellDeferred(
    recipient: Recipient,
    outcome: Outcome,
    times: DeliveryTimes,
  ): Promise<boolean> {
    const detail = detailOf(outcome);
    await this.#append('defer', recipient, detail);
    this.#log(recipient, outcome, times, outcome.status, 'deferred', outcome.text);
    await this.#traceIfRecorded(recipient, outcome, detail);
    const site = recipient.address.slice(recipient.address.lastIndexOf('@') + 1);
    if (site !== '' && site !== recipient.address) {
      await this.#reporters.flushAdd(site, this.#request.queueId);
    }
    return false;
  }

  #traceIfRecorded(recipient: Recipient, outcome: Outcome, detail: DsnDetail): Promise<boolean> {
    if ((this.#flags & DELIVERY_FLAG.RECORD) === 0) return Promise.resolve(true);
    return this.#trace(recipient, outcome, detail);
  }

  #trace(recipient: Recipient, outcome: Outcome, detail: DsnDetail): Promise<boolean> {
    const { relay = NO_RELAY } = outcome;
    const via = relay === NO_RELAY ? '' : `delivery via ${relay}: `;
    return this.#append('trace', recipient, { ...detail, reason: via + detail.reason });
  }

  async #append(service: BounceService, recipient: Recipient, detail: DsnDetail): Promise<boolean> {
    const { bounce } = this.#reporters;
    const { queueId } = this.#request;
    const done = await bounce.append(service, queueId, this.#flags, recipient, detail);
    if (!done) this.#warn(`${service} service failure`);
    return done;
  }

  /** Whether somebody besides the log is to be told of a success. */
  #isReported(recipient: Recipient): boolean {
    if (this.#flags === 0) return wantsSuccess(recipient);
    return (
      (this.#flags & PROBE_FLAGS) !== 0 || this.#isTraced(recipient) || wantsSuccess(recipient)
    );
  }

  /** `sendmail -v`, or the sender has had a notice of the delay. */
  #isTraced({ notify }: Recipient): boolean {
    if ((this.#flags & DELIVERY_FLAG.RECORD) !== 0) return true;
    return (this.#flags & DELIVERY_FLAG.REC_DLY_SENT) !== 0 && wantsDelay(notify);
  }

  /** Of a copy for a content filter qmgr keeps the books itself. */
  #markSent(recipient: Recipient): void {
    if ((this.#request.flags & DELIVERY_FLAG.SUCCESS) !== 0) this.#mark(recipient);
  }

  #mark(recipient: Recipient): void {
    if (recipient.offset <= 0) return;
    try {
      this.#message.markDone(recipient.offset);
    } catch (error) {
      // It has been delivered all the same: qmgr trusts our reply.
      this.#warn((error as Error).message);
    }
  }

  #timesNow(): DeliveryTimes {
    const { times } = this.#request;
    const delivered = nowMicroseconds();
    return { ...times, connected: this.#connected ?? times.connected, delivered };
  }

  #logProbe(recipient: Recipient, outcome: Outcome, times: DeliveryTimes): void {
    this.#log(recipient, outcome, times, outcome.status, probeStatus(outcome), outcome.text);
  }

  #log(
    recipient: Recipient,
    { relay = NO_RELAY, connUse }: Outcome,
    times: DeliveryTimes,
    dsn: string,
    status: DeliveryStatus,
    text: string,
  ): void {
    this.#reporters.log.info({
      kind: 'delivery',
      queueId: this.#request.queueId,
      to: recipient.address,
      origTo: recipient.original,
      relay,
      connUse,
      ...delaysOf(times),
      dsn,
      status,
      text,
    });
  }

  #warn(text: string): void {
    this.#reporters.log.warn({ kind: 'text', queueId: this.#request.queueId, text });
  }
}

const NO_RELAY = 'none';
const PROBE_FLAGS = DELIVERY_FLAG.MTA_VRFY | DELIVERY_FLAG.USR_VRFY;

const VERIFY_STATUS = {
  sent: RECIPIENT_STATUS.OK,
  deferred: RECIPIENT_STATUS.DEFER,
  bounced: RECIPIENT_STATUS.BOUNCE,
} as const;

function wantsSuccess({ notify }: Recipient): boolean {
  return (notify & NOTIFY.success) !== 0;
}

function probeStatus(outcome: Outcome): 'deliverable' | 'undeliverable' {
  return outcome.kind === 'sent' ? 'deliverable' : 'undeliverable';
}

/** soft_bounce: the same failure, but another attempt will be made. */
function softened(detail: DsnDetail): DsnDetail {
  return { ...detail, status: `4${detail.status.slice(1)}`, action: 'delayed' };
}

/** Our own trouble delays mail; it never loses or bounces it. */
function trouble({ relay }: Outcome, text: string): Outcome {
  return { kind: 'deferred', status: '4.3.0', text, relay };
}
