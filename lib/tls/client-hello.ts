/**
 * The first thing that a TLS client says, read before OpenSSL does: it tells which certificate is
 * wanted, which ticket key, and how keys are going to be exchanged, which Node does not tell a server.
 * Bytes in, values out; what is no ClientHello is left to OpenSSL to refuse. RFC 8446 4.1.2.
 */

/** What a ClientHello says that we act on. */
export interface ClientHello {
  /** RFC 6066: as the client wrote it. */
  readonly serverName: string | undefined;
  /** In the client's order, by their numbers. */
  readonly groups: readonly number[];
  /** Those that it has sent a key share for. */
  readonly keyShares: readonly number[];
  /** The ticket that it wants to resume with begins with the name of its key. */
  readonly ticketName: Buffer | undefined;
}

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const RECORD_HEADER = 5;
const RECORD_MAX = 16 * 1024 + 2048;
/** A ClientHello larger than this is none: post-quantum key shares take 1 KB, tickets some more. */
const HELLO_MAX = 64 * 1024;
/** Nobody needs to cut it into more pieces than this. */
const RECORDS_MAX = 16;
/** Postfix's and OpenSSL's key names. */
export const TICKET_NAME_BYTES = 16;
const EXTENSION = {
  serverName: 0,
  groups: 10,
  ticket: 35,
  preSharedKey: 41,
  keyShare: 51,
} as const;

/**
 * Reads a ClientHello.
 *
 * @returns `more` when it has not come in full; `undefined` when this is none
 */
export function parseClientHello(bytes: Buffer): ClientHello | 'more' | undefined {
  const message = joinRecords(bytes);
  if (!Buffer.isBuffer(message)) return message;
  try {
    return read(new Reader(message));
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** The handshake message without the records that carry it. */
function joinRecords(bytes: Buffer): Buffer | 'more' | undefined {
  const parts: Buffer[] = [];
  let gathered = 0;
  for (let at = 0; ; ) {
    if (bytes.length > at && bytes[at] !== HANDSHAKE) return undefined;
    if (bytes.length < at + RECORD_HEADER) return 'more';
    const length = bytes.readUInt16BE(at + 3);
    if (bytes[at + 1] !== 3 || length === 0 || length > RECORD_MAX) return undefined;
    const part = bytes.subarray(at + RECORD_HEADER, at + RECORD_HEADER + length);
    if (parts.length === 0 && part.length > 0 && part[0] !== CLIENT_HELLO) return undefined;
    if (part.length < length) return 'more';
    if (parts.push(part) > RECORDS_MAX) return undefined;
    gathered += length;
    at += RECORD_HEADER + length;
    if (gathered < 4) continue;
    const message = parts.length === 1 ? part : Buffer.concat(parts);
    const wanted = message.readUIntBE(1, 3);
    if (wanted > HELLO_MAX) return undefined;
    if (gathered >= 4 + wanted) return message.subarray(4, 4 + wanted);
  }
}

function read(hello: Reader): ClientHello {
  hello.skip(2 + 32);
  hello.skipVector(1);
  hello.skipVector(2);
  hello.skipVector(1);
  let serverName: string | undefined;
  let groups: number[] = [];
  let keyShares: number[] = [];
  let ticketName: Buffer | undefined;
  const extensions = hello.isAtEnd ? hello : hello.vector(2);
  while (!extensions.isAtEnd) {
    const type = extensions.number(2);
    const content = extensions.vector(2);
    if (type === EXTENSION.serverName) serverName = readServerName(content.vector(2));
    else if (type === EXTENSION.groups) groups = readNumbers(content.vector(2));
    else if (type === EXTENSION.keyShare) keyShares = readShares(content.vector(2));
    else if (type === EXTENSION.ticket) ticketName = nameIn(content.rest()) ?? ticketName;
    else if (type === EXTENSION.preSharedKey && !content.isAtEnd) {
      ticketName = nameIn(content.vector(2).vector(2).rest()) ?? ticketName;
    }
  }
  return { serverName, groups, keyShares, ticketName };
}

function readServerName(list: Reader): string | undefined {
  while (!list.isAtEnd) {
    const type = list.number(1);
    const name = list.vector(2).rest();
    if (type === 0) return name.toString('latin1');
  }
  return undefined;
}

function readNumbers(list: Reader): number[] {
  const found: number[] = [];
  while (!list.isAtEnd) found.push(list.number(2));
  return found;
}

function readShares(list: Reader): number[] {
  const found: number[] = [];
  while (!list.isAtEnd) {
    found.push(list.number(2));
    list.skipVector(2);
  }
  return found;
}

function nameIn(ticket: Buffer): Buffer | undefined {
  return ticket.length > TICKET_NAME_BYTES ? ticket.subarray(0, TICKET_NAME_BYTES) : undefined;
}

/** Numbers and vectors of TLS; a RangeError, where the bytes end too soon. */
class Reader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, start = 0, end = bytes.length) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#end;
  }

  /** @returns where the skipped bytes begin */
  skip(count: number): number {
    const start = this.#at;
    if (start + count > this.#end) throw new RangeError('the message ends too soon');
    this.#at = start + count;
    return start;
  }

  number(size: 1 | 2): number {
    const at = this.skip(size);
    return size === 1 ? this.#bytes.readUInt8(at) : this.#bytes.readUInt16BE(at);
  }

  /** What follows a length of so many bytes. */
  vector(size: 1 | 2): Reader {
    const length = this.number(size);
    const start = this.skip(length);
    return new Reader(this.#bytes, start, start + length);
  }

  skipVector(size: 1 | 2): void {
    this.skip(this.number(size));
  }

  rest(): Buffer {
    return this.#bytes.subarray(this.#at, this.#end);
  }
}
