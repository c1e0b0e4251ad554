/**
 * Places in a queue file where milters' changes begin: pointer records that lead nowhere yet, and
 * records that are long enough to become pointers. queue.md 3.9.
 */
import { RECORD } from '../../lib/queue/record.ts';
import type { QueueOutput } from './output.ts';

/** The payload of a pointer, and the whole record. */
const POINTER_DIGITS = 15;
const POINTER_BYTES = POINTER_DIGITS + 2;

/** Where a pointer may be written, and where the original goes on behind it. */
export interface Hook {
  at: number;
  readonly target: number;
}

/** Those of one message; each is there once its part of the file is written. */
export interface Hooks {
  sender?: Hook;
  recipients?: Hook;
  /** Behind the last header: more of them, and the body. */
  headers?: Hook;
  /** Behind the content's own orders: filter, redirect. */
  orders?: Hook;
}

export function pointerTo(offset: number): string {
  return String(offset).padStart(POINTER_DIGITS);
}

/** A pointer record's bytes. */
export function formatPointer(offset: number): Buffer {
  const bytes = Buffer.alloc(POINTER_BYTES);
  bytes.write(RECORD.pointer, 0, 'latin1');
  bytes[1] = POINTER_DIGITS;
  bytes.write(pointerTo(offset), 2, 'latin1');
  return bytes;
}

/** Leaves a pointer that leads nowhere. */
export function placeHook(output: QueueOutput): Hook {
  const at = output.offset;
  output.record(RECORD.pointer, pointerTo(0));
  return { at, target: output.offset };
}

/** Makes room behind a record whose data is shorter than a pointer's, so that one may take its place. */
export function pad(output: QueueOutput, type: 'p' | 'w', dataBytes: number): void {
  if (dataBytes >= POINTER_DIGITS) return;
  const width = Math.max(1, POINTER_DIGITS - dataBytes - 2);
  output.record(type, '0'.padStart(width));
}
