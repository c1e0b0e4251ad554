/**
 * The bytes of a journal: entries one after the other, each with its length and a checksum. What
 * the disk has of it after a power cut is told from what it has not, and from what lay there before.
 */
import { crc32 } from 'node:zlib';

export type JournalEntry =
  /** The first of a segment: which start of the machine it was written under. */
  | { readonly kind: 'start'; readonly boot: string }
  /** A message as cleanup wrote it, and where. */
  | {
      readonly kind: 'message';
      readonly sequence: number;
      readonly path: string;
      readonly bytes: Buffer;
    }
  /** Messages that need the journal no more: gone from the queue, or on stable storage. */
  | { readonly kind: 'settled'; readonly sequences: readonly number[] };

/** Magic, generation, kind, bytes of the body, checksum of all but itself: 32 bits each. */
const HEADER_BYTES = 20;
const CHECKSUM_AT = 16;
const MAGIC = 0x6a_71_68_70;
const KIND = { start: 1, message: 2, settled: 3 } as const;
/** A counter that never ends. */
const SEQUENCE_BYTES = 6;
const LENGTH_BYTES = 2;

/**
 * An entry as it is written, in pieces: the message is not copied.
 *
 * @param generation tells the entries of a segment from those that it had before it was used again
 */
export function formatEntry(entry: JournalEntry, generation: number): Buffer[] {
  const body = bodyOf(entry);
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(MAGIC, 0);
  header.writeUInt32LE(generation, 4);
  header.writeUInt32LE(KIND[entry.kind], 8);
  header.writeUInt32LE(
    body.reduce((sum, { length }) => sum + length, 0),
    12,
  );
  header.writeUInt32LE(checksum(header, body), CHECKSUM_AT);
  return [header, ...body];
}

function bodyOf(entry: JournalEntry): Buffer[] {
  switch (entry.kind) {
    case 'start':
      return [Buffer.from(entry.boot)];
    case 'settled': {
      const body = Buffer.allocUnsafe(entry.sequences.length * SEQUENCE_BYTES);
      entry.sequences.forEach((sequence, index) => {
        body.writeUIntLE(sequence, index * SEQUENCE_BYTES, SEQUENCE_BYTES);
      });
      return [body];
    }
    case 'message': {
      const path = Buffer.from(entry.path);
      const head = Buffer.allocUnsafe(SEQUENCE_BYTES + LENGTH_BYTES);
      head.writeUIntLE(entry.sequence, 0, SEQUENCE_BYTES);
      head.writeUInt16LE(path.length, SEQUENCE_BYTES);
      return [head, path, entry.bytes];
    }
  }
}

function checksum(header: Buffer, body: readonly Buffer[]): number {
  return body.reduce((sum, piece) => crc32(piece, sum), crc32(header.subarray(0, CHECKSUM_AT)));
}

/** The entries of a segment, up to the first that is not whole, or older than the first. Pure. */
export function* parseEntries(bytes: Buffer): Generator<JournalEntry, void, undefined> {
  let generation: number | undefined;
  for (let at = 0; at + HEADER_BYTES <= bytes.length; ) {
    const header = bytes.subarray(at, at + HEADER_BYTES);
    const length = header.readUInt32LE(12);
    const body = bytes.subarray(at + HEADER_BYTES, at + HEADER_BYTES + length);
    if (header.readUInt32LE(0) !== MAGIC || body.length !== length) return;
    if (header.readUInt32LE(CHECKSUM_AT) !== checksum(header, [body])) return;
    const entry = parseBody(header.readUInt32LE(8), body);
    if (entry === undefined || (entry.kind === 'start') !== (at === 0)) return;
    generation ??= header.readUInt32LE(4);
    if (header.readUInt32LE(4) !== generation) return;
    yield entry;
    at += HEADER_BYTES + length;
  }
}

function parseBody(kind: number, body: Buffer): JournalEntry | undefined {
  if (kind === KIND.start) return { kind: 'start', boot: body.toString() };
  if (kind === KIND.settled) return { kind: 'settled', sequences: [...sequencesOf(body)] };
  const pathAt = SEQUENCE_BYTES + LENGTH_BYTES;
  if (kind !== KIND.message || body.length < pathAt) return undefined;
  const bytesAt = pathAt + body.readUInt16LE(SEQUENCE_BYTES);
  return {
    kind: 'message',
    sequence: body.readUIntLE(0, SEQUENCE_BYTES),
    path: body.toString('utf8', pathAt, bytesAt),
    bytes: body.subarray(bytesAt),
  };
}

function* sequencesOf(body: Buffer): Generator<number, void, undefined> {
  for (let at = 0; at + SEQUENCE_BYTES <= body.length; at += SEQUENCE_BYTES) {
    yield body.readUIntLE(at, SEQUENCE_BYTES);
  }
}
