/**
 * One milter and its connection: what it is asked, and what it answers. Each SMTP session has its
 * own; for the content of a message another process may go on with it. Postfix: milter(3).
 */
import type { Resolver } from '../dns/resolver.ts';
import { FatalError } from '../log/fatal.ts';
import type { Log } from '../log/log.ts';
import { type Agreement, NO_AGREEMENT, parseAgreement } from './agreement.ts';
import { EditRequests } from './edit-requests.ts';
import type { MilterEdits } from './edits.ts';
import { formatMacros, type MacroLists, type MacroSource } from './macros.ts';
import { MilterLost, MilterSocket } from './milter-socket.ts';
import { FieldReader, formatLongs, formatPacket, type Packet, PacketError } from './packet.ts';
import {
  ACTIONS,
  COMMAND,
  EVENTS,
  type MilterEvent,
  REPLY,
  replyName,
  STEP,
  STEPS,
} from './protocol.ts';
import { type MilterSettings, parseEndpoint } from './settings.ts';
import {
  DISCARD,
  defaultVerdict,
  HOLD,
  MISCONFIGURED,
  parseReply,
  REJECT,
  SHUTDOWN,
  TEMPFAIL,
  type Verdict,
} from './verdict.ts';

/** What a milter client works with, the same for all milters. */
export interface MilterSurroundings {
  readonly log: Log;
  /** For names of hosts; undefined where there are none. */
  readonly resolver: Resolver | undefined;
  readonly lists: MacroLists;
  readonly macroDefaults: ReadonlyMap<string, string>;
  readonly softBounce: boolean;
}

/**
 * Where a connection is. Numbers are Postfix's, which cleanup is told: `envelope` is from CONNECT on,
 * whether there is a message or not. After `accept` and `reject` nobody asks it any more.
 */
export const STATE = {
  error: 1,
  closed: 2,
  ready: 3,
  envelope: 4,
  message: 5,
  acceptConnection: 6,
  acceptMessage: 7,
  rejectConnection: 8,
} as const;

type State = (typeof STATE)[keyof typeof STATE];

/** What a process has to know to go on with a milter where another one stopped. */
export interface MilterPosition extends Agreement {
  readonly state: number;
}

export class Milter {
  readonly settings: MilterSettings;
  readonly #around: MilterSurroundings;
  #socket: MilterSocket | undefined;
  #agreed = NO_AGREEMENT;
  #state: State = STATE.closed;
  /** What it answers to all events from now on, without being asked. */
  #standing: Verdict | undefined;
  /** The event that it does not want to hear of again in this message. */
  #skipped: MilterEvent | undefined;
  /** The connection is over for all who hold it, once this has come true. */
  #ended: Promise<void> | undefined;

  constructor(settings: MilterSettings, around: MilterSurroundings) {
    this.settings = settings;
    this.#around = around;
  }

  /** Goes on with a connection that another process has opened. */
  static resume(
    settings: MilterSettings,
    around: MilterSurroundings,
    position: MilterPosition,
    fd: number,
  ): Milter {
    const milter = new Milter(settings, around);
    milter.#socket = MilterSocket.adopt(fd);
    milter.#agreed = position;
    milter.#state = position.state as State;
    return milter;
  }

  /** What another process has to know to go on. */
  get position(): MilterPosition {
    return { ...this.#agreed, state: this.#state };
  }

  /** The connection, to be handed over; undefined when the content is of no concern to it. */
  get descriptor(): number | undefined {
    const isActive = this.#state === STATE.envelope || this.#state === STATE.ready;
    return isActive && this.#socket?.isOpen ? this.#socket.fd : undefined;
  }

  /** The verdict that it gave on the connection, if that refuses it. */
  get standing(): Verdict | undefined {
    return this.#standing;
  }

  get wantsRejectedRecipients(): boolean {
    return (this.#agreed.steps & STEP.rejectedRecipients) !== 0;
  }

  /** Whether there is nothing to be said to it about the content of the message at hand. */
  get isDone(): boolean {
    return this.#state !== STATE.message;
  }

  /** Headers' values come with the blank behind the colon. */
  get wantsLeadingSpace(): boolean {
    return (this.#agreed.steps & STEP.leadingSpace) !== 0;
  }

  /** Whether it has had enough of such events, for this message. */
  skips(event: MilterEvent): boolean {
    return this.#skipped === event;
  }

  wants(event: MilterEvent): boolean {
    const { unwanted } = EVENTS[event];
    return (unwanted & (this.#agreed.steps | this.#agreed.missing)) === 0;
  }

  /** Tells it of a client: the connection begins with that. */
  async connect(macros: MacroSource, data: Buffer): Promise<Verdict | undefined> {
    if (this.#state === STATE.closed) await this.#open();
    if (this.#state !== STATE.ready) return this.#standing;
    this.#state = STATE.envelope;
    return this.#ask('connect', macros, data);
  }

  /** Tells it of an event before the content. */
  tell(
    event: 'helo' | 'mail' | 'rcpt' | 'data' | 'unknown',
    macros: MacroSource,
    data: Buffer,
  ): Promise<Verdict | undefined> | Verdict | undefined {
    if (event === 'mail') this.#skipped = undefined;
    return this.#state === STATE.envelope ? this.#ask(event, macros, data) : this.#standing;
  }

  /** The content follows. @returns whether it wants any of it */
  beginContent(): boolean {
    if (this.#state !== STATE.envelope) return false;
    this.#state = STATE.message;
    return true;
  }

  /** Tells it of a part of the content; at the end it may ask for changes. */
  async show(
    event: 'header' | 'endOfHeaders' | 'body' | 'endOfMessage',
    macros: MacroSource,
    data: Buffer,
    edits?: MilterEdits,
  ): Promise<Verdict | undefined> {
    if (this.#state !== STATE.message) return this.#standing;
    const verdict = await this.#ask(event, macros, data, edits);
    // Whoever handed it to us must not find it open when we have given it up.
    await this.#ended;
    if (event === 'endOfMessage' && this.#state === STATE.message) this.#state = STATE.envelope;
    return verdict;
  }

  /** The message at hand is over, or the client begins anew. Nobody waits for an answer. */
  abort(): void {
    this.#skipped = undefined;
    if (this.#state < STATE.envelope || this.#socket === undefined) return;
    this.#post(formatPacket(COMMAND.abort));
    if (this.#state === STATE.acceptMessage || this.#state === STATE.message) {
      this.#state = STATE.envelope;
    }
  }

  /** The client has gone. */
  quit(): void {
    if (this.#socket !== undefined) this.#post(formatPacket(COMMAND.quit));
    this.#end();
    this.#state = STATE.closed;
    this.#standing = undefined;
  }

  /** Lets go of the connection; another process may go on with it. */
  release(): void {
    this.#socket?.release();
    this.#socket = undefined;
  }

  /** What was given up is not waited for: a milter that is gone shows when it is asked again. */
  #post(bytes: Buffer): void {
    this.#socket?.send(bytes, this.settings.commandSeconds * 1000).catch(() => {});
  }

  async #open(): Promise<void> {
    const { name, protocol, connectSeconds } = this.settings;
    const steps = /^\d{1,3}$/.test(protocol) ? STEPS[Number(protocol)] : undefined;
    if (steps === undefined) {
      this.#warn(`bad protocol information: ${protocol}`);
      this.#misconfigured();
      return;
    }
    try {
      const endpoint = parseEndpoint(name);
      const { resolver } = this.#around;
      this.#socket = await MilterSocket.connect(endpoint, connectSeconds * 1000, resolver);
    } catch (error) {
      if (error instanceof FatalError) {
        this.#around.log.warn(error.message);
        this.#misconfigured();
      } else if (error instanceof MilterLost) {
        this.#around.log.warn(`connect to Milter service ${name}: ${error.message}`);
        this.#failed();
      } else throw error;
      return;
    }
    await this.#negotiate(Number(protocol), steps);
  }

  async #negotiate(version: number, steps: number): Promise<void> {
    const socket = this.#socket as MilterSocket;
    const limitMs = this.settings.connectSeconds * 1000;
    const offer = formatPacket(COMMAND.negotiate, formatLongs(version, ACTIONS, steps));
    try {
      await socket.send(offer, limitMs);
      const { letter, data } = await this.#receive(socket, limitMs, 'SMFIC_OPTNEG');
      if (letter !== COMMAND.negotiate) {
        this.#warn(`unexpected reply "${letter}" in initial handshake`);
        this.#failed();
        return;
      }
      const agreed = parseAgreement(version, data, (text) => this.#warn(text));
      if (agreed === undefined) {
        this.#failed();
        return;
      }
      this.#agreed = agreed;
      this.#state = STATE.ready;
    } catch (error) {
      this.#explain(error);
      this.#warn('read error in initial handshake');
      this.#failed();
    }
  }

  async #ask(
    event: MilterEvent,
    macros: MacroSource,
    data: Buffer,
    edits?: MilterEdits,
  ): Promise<Verdict | undefined> {
    const { letter, name, unwanted, unanswered, macros: stage } = EVENTS[event];
    const { steps, missing } = this.#agreed;
    if (this.#skipped === event || (unwanted & missing) !== 0) return this.#standing;
    const socket = this.#socket;
    if (socket === undefined) return this.#standing;
    const limitMs = this.#limitOf(event);
    const { lists, macroDefaults } = this.#around;
    // A list that it did not ask for is empty.
    const list = this.#agreed.lists?.[stage] || lists[stage];
    const values = await formatMacros(list, macros, macroDefaults);
    const packets = [formatPacket(COMMAND.macros, letter, values)];
    const isWanted = (unwanted & steps) === 0;
    if (isWanted) packets.push(formatPacket(letter, data));
    try {
      await socket.send(Buffer.concat(packets), limitMs);
    } catch (error) {
      this.#warn(`error writing command: ${(error as Error).message}`);
      return this.#failed();
    }
    if (!isWanted || (unanswered & steps) !== 0) return this.#standing;
    return this.#hear(socket, event, name, limitMs, edits);
  }

  #limitOf(event: MilterEvent): number {
    const { connectSeconds, commandSeconds, contentSeconds } = this.settings;
    if (event === 'connect') return connectSeconds * 1000;
    return (CONTENT_EVENTS.has(event) ? contentSeconds : commandSeconds) * 1000;
  }

  /** Reads replies up to the one that decides. */
  async #hear(
    socket: MilterSocket,
    event: MilterEvent,
    name: string,
    limitMs: number,
    edits: MilterEdits | undefined,
  ): Promise<Verdict | undefined> {
    const requests = edits && new EditRequests(edits, this.wantsLeadingSpace);
    let isHeld = false;
    try {
      for (;;) {
        const packet = await this.#receive(socket, limitMs, name);
        const { letter, data } = packet;
        if (letter === REPLY.progress && data.length === 0) continue;
        if (letter === REPLY.quarantine) {
          isHeld = true;
          continue;
        }
        if (requests?.takes(letter)) {
          await requests.take(letter, new FieldReader(data));
          continue;
        }
        const verdict = this.#decide(event, name, packet);
        const trouble = await requests?.finish();
        // A change that could not be made outweighs whatever else it says.
        return trouble ?? verdict ?? (isHeld ? HOLD : undefined);
      }
    } catch (error) {
      if (requests?.isMisuse(error)) {
        this.#warn((error as Error).message);
        return this.#misconfigured();
      }
      this.#explain(error);
      return this.#failed();
    }
  }

  /** What a reply means that ends the wait. @returns what becomes of the event */
  #decide(event: MilterEvent, name: string, { letter, data }: Packet): Verdict | undefined {
    if (letter === REPLY.replyCode) return this.#custom(event, data);
    if (DECISIONS.has(letter) && data.length > 0) {
      this.#warn(`reply ${replyName(letter)} was followed by ${data.length} data bytes`);
      return this.#failed();
    }
    const isConnection = event === 'connect' || event === 'helo';
    switch (letter) {
      case REPLY.continue:
        return this.#standing;
      case REPLY.skip:
        this.#skipped = event;
        return this.#standing;
      case REPLY.accept:
        if (isConnection) this.#settle(STATE.acceptConnection);
        else this.#state = STATE.acceptMessage;
        return this.#standing;
      case REPLY.discard:
        if (isConnection) {
          this.#warn('DISCARD action is not allowed for connect or helo');
          return this.#standing;
        }
        this.#state = STATE.acceptMessage;
        return DISCARD;
      case REPLY.reject:
        return this.#refuse(isConnection, REJECT);
      case REPLY.tempfail:
        return this.#refuse(isConnection, TEMPFAIL);
      case REPLY.shutdown:
        if (!CONTENT_EVENTS.has(event)) this.#settle(STATE.closed);
        return SHUTDOWN;
      default:
        this.#warn(`unexpected filter response ${replyName(letter)} after event ${name}`);
        return this.#failed();
    }
  }

  #custom(event: MilterEvent, data: Buffer): Verdict | undefined {
    const given = new FieldReader(data).string();
    const reply = parseReply(given, this.#around.softBounce);
    if (reply === undefined) {
      this.#warn(`malformed reply: ${given}`);
      return this.#misconfigured();
    }
    return this.#refuse(event === 'connect' || event === 'helo', reply);
  }

  #refuse(isConnection: boolean, verdict: Verdict): Verdict {
    if (isConnection) {
      this.#standing = verdict;
      this.#settle(STATE.rejectConnection);
    }
    return verdict;
  }

  /** It has said all it has to say. */
  #settle(state: State): void {
    this.#state = state;
    this.#end();
  }

  async #receive(socket: MilterSocket, limitMs: number, name: string): Promise<Packet> {
    try {
      return await socket.receive(limitMs);
    } catch (error) {
      if (!(error instanceof MilterLost)) throw error;
      throw new MilterLost(`can't read ${name} reply packet header: ${error.message}`);
    }
  }

  #explain(error: unknown): void {
    if (!(error instanceof MilterLost || error instanceof PacketError)) throw error;
    this.#warn(error.message);
  }

  /** It can't be talked to. @returns what main.cf says to do then */
  #failed(): Verdict | undefined {
    const { defaultAction } = this.settings;
    const verdict = defaultVerdict(defaultAction);
    if (verdict === 'unknown') this.#warn(`unrecognized default action: ${defaultAction}`);
    return this.#giveUp(verdict === 'unknown' ? MISCONFIGURED : verdict);
  }

  /** It, or main.cf, is not as it should be: to try again does not help. */
  #misconfigured(): Verdict | undefined {
    const verdict = defaultVerdict(this.settings.defaultAction);
    return this.#giveUp(verdict === undefined || verdict === HOLD ? verdict : MISCONFIGURED);
  }

  #giveUp(verdict: Verdict | undefined): Verdict | undefined {
    this.#state = STATE.error;
    this.#end();
    this.#standing = verdict;
    return verdict;
  }

  #end(): void {
    this.#ended = this.#socket?.end();
    this.#socket = undefined;
  }

  #warn(text: string): void {
    this.#around.log.warn(`milter ${this.settings.name}: ${text}`);
  }
}

const CONTENT_EVENTS: ReadonlySet<MilterEvent> = new Set([
  'header',
  'endOfHeaders',
  'body',
  'endOfMessage',
]);

/** Replies without data. */
const DECISIONS: ReadonlySet<string> = new Set([
  REPLY.continue,
  REPLY.skip,
  REPLY.accept,
  REPLY.discard,
  REPLY.reject,
  REPLY.tempfail,
  REPLY.shutdown,
  REPLY.progress,
]);
