/** The size record, which every finished queue file begins with. Pure. */

/** Six numbers of 15 columns, a blank between them. */
const COLUMN = 15;
const FIELDS = 6;
/** Bytes of its payload; type and length take two more. */
export const SIZE_RECORD_BYTES = FIELDS * COLUMN + FIELDS - 1;

/** Bits of `flags`; bits 1 to 4 are the notify flags of all recipients, shifted left by one. */
export const SIZE_FLAGS = { mixedRecipients: 1, notifyShift: 1, all: 31 } as const;

/** What the size record tells. */
export interface SizeRecord {
  /** Bytes of the original content in the file: from the first content record to `X`. */
  readonly storedBytes: number;
  /** Offset of the first content record. */
  readonly contentOffset: number;
  readonly recipientCount: number;
  readonly flags: number;
  /** Bytes of the content after edits; what is logged as size. */
  readonly contentBytes: number;
  readonly sendOptions: number;
}

/** The payload of a size record. */
export function formatSize(size: SizeRecord): string {
  const numbers = [
    size.storedBytes,
    size.contentOffset,
    size.recipientCount,
    size.flags,
    size.contentBytes,
    size.sendOptions,
  ];
  return numbers.map((number) => String(number).padStart(COLUMN)).join(' ');
}

/**
 * Reads the payload of a size record; three to six fields of any width.
 *
 * @returns the record, or what is wrong with it
 */
export function parseSize(
  text: string,
): SizeRecord | 'invalid size record' | 'invalid flags in size record' {
  const numbers = text.trim().split(/ +/, FIELDS).map(Number);
  if (numbers.length < 3 || !numbers.every(Number.isSafeInteger)) return 'invalid size record';
  const [stored = 0, offset = 0, count = 0, flags = SIZE_FLAGS.mixedRecipients] = numbers;
  const [content = 0, sendOptions = 0] = numbers.slice(4);
  if (stored <= 0 || offset <= 0 || content < 0) return 'invalid size record';
  if ((flags & ~SIZE_FLAGS.all) !== 0) return 'invalid flags in size record';
  return {
    storedBytes: stored,
    contentOffset: offset,
    recipientCount: count,
    flags,
    contentBytes: content === 0 ? stored : content,
    sendOptions,
  };
}
