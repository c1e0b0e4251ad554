import { endianness } from 'node:os';

/** pid, generation, status: three 32-bit words in the machine's own order. ipc.md 1.5. */
export const STATUS_MESSAGE_BYTES = 12;

/** What a child tells master on descriptor 5. */
export interface StatusMessage {
  readonly pid: number;
  /** Tells a child from an earlier one that had the same pid. */
  readonly generation: number;
  /** How many more clients the child can take: 0 or 1 for a daemon that serves one at a time. */
  readonly free: number;
}

const littleEndian = endianness() === 'LE';

/** Reads the message that starts at `offset`; the caller has made sure that 12 bytes are there. */
export function readStatusMessage(bytes: Buffer, offset: number): StatusMessage {
  const word = (index: number) => {
    const at = offset + index * 4;
    return littleEndian ? bytes.readInt32LE(at) : bytes.readInt32BE(at);
  };
  return { pid: word(0), generation: word(1), free: word(2) };
}
