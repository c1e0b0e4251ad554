/**
 * verify(8): knows which addresses work, by asking.
 *
 * Called by smtpd (query) and by the delivery agents (update), over connections that stay. Calls
 * cleanup, with probes: messages that are delivered nowhere, only tried. Keeps what it learns in
 * address_verify_map, which belongs to it alone. Postfix: verify(8).
 */
import { probeSenderAt } from '../../lib/address/probe-sender.ts';
import { CLEANUP_FLAG, CleanupClient } from '../../lib/clients/cleanup.ts';
import { clientOptions } from '../../lib/clients/options.ts';
import { RECIPIENT_STATUS } from '../../lib/clients/verify.ts';
import { every, now, nowMicroseconds } from '../../lib/clock/clock.ts';
import { DELIVERY_FLAG } from '../../lib/delivery/request.ts';
import type { IpcConnection } from '../../lib/ipc/connection.ts';
import { int, str } from '../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../lib/ipc/protocols.ts';
import { formatDate } from '../../lib/message/date.ts';
import { becomeSessionLeader } from '../../lib/os/session.ts';
import { RECORD, RecordWriter } from '../../lib/queue/record.ts';
import type { MultiService } from '../../lib/server/multi-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { CacheFile } from '../../lib/table/cache-file.ts';
import { type Entry, formatEntry, keyOf, parseEntry } from './entry.ts';

const PARAMETERS = [
  'address_verify_cache_cleanup_interval',
  'address_verify_map',
  'address_verify_negative_cache',
  'address_verify_negative_expire_time',
  'address_verify_negative_refresh_time',
  'address_verify_positive_expire_time',
  'address_verify_positive_refresh_time',
  'address_verify_sender',
  'address_verify_sender_ttl',
  'cleanup_service_name',
  'mail_name',
  'myhostname',
  'myorigin',
] as const;

type Names = (typeof PARAMETERS)[number];

/** A probe that has not come back by then is lost. */
const PROBE_SECONDS = 1000;
const UNKNOWN: Entry = {
  status: RECIPIENT_STATUS.PENDING,
  probed: 0,
  updated: 0,
  text: 'Address verification in progress',
};
/** What an update is answered. ipc.md 3.11. */
const ANSWER = { OK: 0, BAD: -2 } as const;

const REQUEST = { request: str };
const QUERY = { address: str };
const UPDATE = { address: str, recipientStatus: int.named('recipient_status'), reason: str };

export const verify: MultiService<Names, Verifier> = {
  name: 'verify',
  parameters: PARAMETERS,
  protocol: PROTOCOLS.verify,
  requires: 'solitary',
  open: (context) => new Verifier(context),
  // A stop of the mail system must not come in the middle of a change to the cache.
  start: (_context, verifier) => {
    becomeSessionLeader();
    verifier.start();
  },
  async serve(connection, { log }, verifier) {
    for (;;) {
      const request = await connection.receive(REQUEST, { more: true });
      if (request === undefined) return;
      if (request.request === 'query') {
        if (!(await answerQuery(connection, verifier))) return;
      } else if (request.request === 'update') {
        if (!(await answerUpdate(connection, verifier))) return;
      } else {
        log.warn(`unrecognized request: "${request.request}", ignored`);
        return;
      }
    }
  },
  stop: (_context, verifier) => verifier.close(),
};

async function answerQuery(connection: IpcConnection, verifier: Verifier): Promise<boolean> {
  const wanted = await connection.receive(QUERY);
  if (wanted === undefined) return false;
  const { status, text } = verifier.query(wanted.address);
  await connection.send([
    ['status', ANSWER.OK],
    ['recipient_status', status],
    ['reason', text],
  ]);
  return true;
}

async function answerUpdate(connection: IpcConnection, verifier: Verifier): Promise<boolean> {
  const told = await connection.receive(UPDATE);
  if (told === undefined) return false;
  const isTaken = verifier.update(told.address, told.recipientStatus, told.reason);
  await connection.send([['status', isTaken ? ANSWER.OK : ANSWER.BAD]]);
  return true;
}

/** What is known of addresses. */
export class Verifier {
  readonly #context: ServiceContext<Names>;
  readonly #cleanup: CleanupClient;
  readonly #cache: CacheFile;

  constructor(context: ServiceContext<Names>) {
    this.#context = context;
    const { configuration, log, parameters } = context;
    this.#cleanup = new CleanupClient({
      ...clientOptions(configuration, log),
      socketPath: `public/${parameters.cleanup_service_name}`,
    });
    // Its directory is out of reach when we have another root.
    this.#cache = CacheFile.open(parameters.address_verify_map, configuration.get('mail_owner'));
  }

  /** Forgets what has expired, now and then. */
  start(): void {
    const { address_verify_cache_cleanup_interval: seconds } = this.#context.parameters;
    if (seconds > 0) every(seconds * 1000, () => this.#cleanUp()).unref();
  }

  close(): void {
    this.#cleanup.close();
    this.#cache.close();
  }

  /** What is known; a probe is sent when that is nothing, or old. */
  query(address: string): Entry {
    const seconds = Math.floor(now() / 1000);
    const found = parseEntry(this.#cache.get(keyOf(address)));
    const entry = found === undefined || this.#isExpired(found, seconds) ? UNKNOWN : found;
    if (seconds - entry.probed > PROBE_SECONDS && this.#isOld(entry, seconds)) {
      this.#put(address, { ...entry, probed: seconds });
      this.#probe(address).catch((error: unknown) => {
        this.#context.log.warn(`cannot send a probe for ${address}: ${(error as Error).message}`);
        this.#put(address, { ...entry, probed: 0 });
      });
    }
    return entry;
  }

  /** @returns whether the report makes sense */
  update(address: string, status: number, text: string): boolean {
    if (status < RECIPIENT_STATUS.OK || status > RECIPIENT_STATUS.BOUNCE) return false;
    const updated = Math.floor(now() / 1000);
    if (status === RECIPIENT_STATUS.OK) {
      this.#put(address, { status, probed: 0, updated, text });
      return true;
    }
    // An address that worked is believed to until that expires.
    const found = parseEntry(this.#cache.get(keyOf(address)));
    if (found?.status === RECIPIENT_STATUS.OK && !this.#isExpired(found, updated)) {
      this.#put(address, { ...found, probed: 0 });
    } else if (this.#context.parameters.address_verify_negative_cache) {
      this.#put(address, { status, probed: 0, updated, text });
    }
    return true;
  }

  #put(address: string, entry: Entry): void {
    this.#cache.put(keyOf(address), formatEntry(entry));
  }

  #isExpired({ status, updated, probed }: Entry, seconds: number): boolean {
    const { parameters } = this.#context;
    if (updated === 0) return seconds - probed > PROBE_SECONDS;
    const isGood = status === RECIPIENT_STATUS.OK;
    const life = isGood
      ? parameters.address_verify_positive_expire_time
      : parameters.address_verify_negative_expire_time;
    return updated + life < seconds;
  }

  #isOld({ status, updated }: Entry, seconds: number): boolean {
    const { parameters } = this.#context;
    const isGood = status === RECIPIENT_STATUS.OK;
    const fresh = isGood
      ? parameters.address_verify_positive_refresh_time
      : parameters.address_verify_negative_refresh_time;
    return updated + fresh < seconds;
  }

  /** A message that is delivered nowhere: the agent tells us what would have become of it. */
  async #probe(address: string): Promise<void> {
    const { parameters } = this.#context;
    const { myorigin, myhostname, mail_name } = parameters;
    const local = probeSenderAt(
      {
        sender: parameters.address_verify_sender,
        ttlSeconds: parameters.address_verify_sender_ttl,
      },
      Math.floor(now() / 1000),
    );
    const sender = local === '' || local.includes('@') ? local : `${local}@${myorigin}`;
    const message = await this.#cleanup.open(CLEANUP_FLAG.MAP_OK);
    const { seconds, microseconds } = nowMicroseconds();
    const date = formatDate(now());
    const writer = new RecordWriter(512);
    writer.record(RECORD.time, `${seconds} ${microseconds}`);
    writer.record(RECORD.attribute, 'log_message_origin=local');
    writer.record(RECORD.attribute, `trace_flags=${DELIVERY_FLAG.MTA_VRFY}`);
    writer.record(RECORD.sender, sender);
    writer.record(RECORD.recipient, address);
    writer.record(RECORD.message);
    writer.record(RECORD.text, `Received: by ${myhostname} (${mail_name})`);
    writer.record(RECORD.text, `\tid ${message.queueId}; ${date}`);
    writer.record(RECORD.text, `Date: ${date}`);
    writer.record(RECORD.extracted);
    writer.record(RECORD.end);
    try {
      await message.write(writer.take());
      const { status, reason } = await message.finish();
      if (status !== 0) throw new Error(`cleanup: status ${status} ${reason}`);
    } catch (error) {
      message.abort();
      throw error;
    }
  }

  /** Forgets what has expired. */
  #cleanUp(): void {
    const seconds = Math.floor(now() / 1000);
    const entries = this.#cache.entries();
    let dropped = 0;
    for (const [key, value] of entries) {
      const entry = parseEntry(value);
      if (entry !== undefined && !this.#isExpired(entry, seconds)) continue;
      this.#cache.remove(key);
      dropped += 1;
    }
    const { parameters, log } = this.#context;
    const retained = entries.length - dropped;
    log.info(
      `cache ${parameters.address_verify_map} full cleanup: retained=${retained} dropped=${dropped} entries`,
    );
  }
}
