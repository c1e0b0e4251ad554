/** Packets of the Milter protocol: a length of four bytes, a letter, data. Pure. Text is byte strings. */

/** Headers and pieces of a body have 64 KB at most; what is much longer is no reply of a milter. */
export const PACKET_BYTES_MAX: number = 1 << 20;
const LENGTH_BYTES = 4;

export interface Packet {
  readonly letter: string;
  readonly data: Buffer;
}

/** The peer broke the rules of the protocol. */
export class PacketError extends Error {
  override readonly name = 'PacketError';
}

/** A packet whose data is byte strings and bytes, one after the other. */
export function formatPacket(letter: string, ...parts: readonly (string | Buffer)[]): Buffer {
  let length = 1;
  for (const part of parts) length += part.length;
  const packet = Buffer.allocUnsafe(LENGTH_BYTES + length);
  packet.writeUInt32BE(length, 0);
  packet.write(letter, LENGTH_BYTES, 'latin1');
  let at = LENGTH_BYTES + 1;
  for (const part of parts) {
    if (typeof part === 'string') packet.write(part, at, 'latin1');
    else packet.set(part, at);
    at += part.length;
  }
  return packet;
}

/** Numbers as the protocol has them. */
export function formatLongs(...values: readonly number[]): Buffer {
  const bytes = Buffer.allocUnsafe(values.length * 4);
  for (const [at, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, at * 4);
  return bytes;
}

/** A string with the NUL that ends it. What a NUL within it hides, it hides from us, too. */
export function terminated(text: string): string {
  const nul = text.indexOf('\0');
  return `${nul < 0 ? text : text.slice(0, nul)}\0`;
}

/** Takes packets out of a stream that comes in chunks of any size. */
export class PacketParser {
  #chunks: Buffer[] = [];
  #bytes = 0;
  readonly #packetBytesMax: number;

  constructor(packetBytesMax = PACKET_BYTES_MAX) {
    this.#packetBytesMax = packetBytesMax;
  }

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** Whether a whole packet is there, or what can't become one. */
  get isReady(): boolean {
    const length = this.#length();
    return length !== undefined && (!this.#isSane(length) || this.#bytes >= LENGTH_BYTES + length);
  }

  /**
   * @returns the next packet, if all of it is there
   * @throws {PacketError} when its length makes no sense
   */
  next(): Packet | undefined {
    const length = this.#length();
    if (length === undefined) return undefined;
    if (length < 1) throw new PacketError(`bad packet length: ${length}`);
    if (length > this.#packetBytesMax) {
      throw new PacketError(`unreasonable packet length: ${length} > ${this.#packetBytesMax}`);
    }
    const end = LENGTH_BYTES + length;
    if (this.#bytes < end) return undefined;
    const bytes = this.#join();
    const rest = bytes.subarray(end);
    this.#chunks = rest.length === 0 ? [] : [rest];
    this.#bytes = rest.length;
    const letter = bytes.toString('latin1', LENGTH_BYTES, LENGTH_BYTES + 1);
    return { letter, data: bytes.subarray(LENGTH_BYTES + 1, end) };
  }

  #isSane(length: number): boolean {
    return length >= 1 && length <= this.#packetBytesMax;
  }

  #length(): number | undefined {
    if (this.#bytes < LENGTH_BYTES) return undefined;
    const [first] = this.#chunks;
    return first !== undefined && first.length >= LENGTH_BYTES
      ? first.readUInt32BE(0)
      : this.#join().readUInt32BE(0);
  }

  #join(): Buffer {
    const [first] = this.#chunks;
    if (this.#chunks.length === 1 && first !== undefined) return first;
    const all = Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks = [all];
    return all;
  }
}

/** Reads the fields of a packet's data, one after the other. */
export class FieldReader {
  readonly #data: Buffer;
  #at = 0;

  constructor(data: Buffer) {
    this.#data = data;
  }

  get rest(): number {
    return this.#data.length - this.#at;
  }

  /** @throws {PacketError} */
  long(): number {
    if (this.rest < 4) throw new PacketError('input packet too short for network long');
    const value = this.#data.readUInt32BE(this.#at);
    this.#at += 4;
    return value;
  }

  /** @throws {PacketError} */
  string(): string {
    if (this.rest === 0) throw new PacketError('packet too short for string');
    const end = this.#data.indexOf(0, this.#at);
    if (end < 0) throw new PacketError('missing string null terminator');
    const text = this.#data.toString('latin1', this.#at, end);
    this.#at = end + 1;
    return text;
  }

  /** A string that may be missing. @throws {PacketError} */
  optionalString(): string | undefined {
    return this.rest === 0 ? undefined : this.string();
  }

  bytes(): Buffer {
    const rest = this.#data.subarray(this.#at);
    this.#at = this.#data.length;
    return rest;
  }
}
