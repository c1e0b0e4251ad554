import { nowMicroseconds, type WallTime } from '../clock/clock.ts';

/**
 * When a message reached each stage of its delivery. It travels from qmgr to the agent as the
 * base64 text of a C structure. ipc.md 2.6.
 */
export interface DeliveryTimes {
  readonly arrival: WallTime;
  readonly active: WallTime;
  readonly handoff: WallTime;
  readonly connected: WallTime;
  readonly delivered: WallTime;
  /** How often the connection was used before. */
  readonly reuseCount: number;
}

/** A stage that was not reached. */
export const NEVER: WallTime = { seconds: 0, microseconds: 0 };

const TIMES_BYTES = 88;
const REUSE_COUNT_OFFSET = 80;
const TWO_TO_32 = 2 ** 32;

/** Formats the structure, which is what the attribute `time` carries. */
export function formatDeliveryTimes(times: DeliveryTimes): Buffer {
  const bytes = Buffer.alloc(TIMES_BYTES);
  writeTime(bytes, 0, times.arrival);
  writeTime(bytes, 16, times.active);
  writeTime(bytes, 32, times.handoff);
  writeTime(bytes, 48, times.connected);
  writeTime(bytes, 64, times.delivered);
  bytes.writeInt32LE(times.reuseCount, REUSE_COUNT_OFFSET);
  return bytes;
}

/** Reads the structure; `undefined` when it has another size. */
export function parseDeliveryTimes(bytes: Buffer): DeliveryTimes | undefined {
  if (bytes.length !== TIMES_BYTES) return undefined;
  return {
    arrival: readTime(bytes, 0),
    active: readTime(bytes, 16),
    handoff: readTime(bytes, 32),
    connected: readTime(bytes, 48),
    delivered: readTime(bytes, 64),
    reuseCount: bytes.readInt32LE(REUSE_COUNT_OFFSET),
  };
}

/** The delays of the log line, in seconds. logs.md 2.6.1. */
export interface Delays {
  /** Since arrival; it is measured on its own and need not be the sum. */
  readonly delay: number;
  /** Before the active queue, in it, setting up the connection, transmission. */
  readonly delays: readonly [number, number, number, number];
}

/** Computes the delays of a delivery that ended at `times.delivered`, or else just now. */
export function delaysOf(times: DeliveryTimes): Delays {
  const done = isSet(times.delivered) ? times.delivered : nowMicroseconds();
  const delay = secondsBetween(times.arrival, done);
  // Without a queue manager everything was waiting; without an agent it was queueing.
  if (!isSet(times.active)) return { delay, delays: [delay, 0, 0, 0] };
  const before = secondsBetween(times.arrival, times.active);
  if (!isSet(times.handoff)) {
    return { delay, delays: [before, secondsBetween(times.active, done), 0, 0] };
  }
  const queued = secondsBetween(times.active, times.handoff);
  const setUp = isSet(times.connected) ? secondsBetween(times.handoff, times.connected) : 0;
  const start = isSet(times.connected) ? times.connected : times.handoff;
  return { delay, delays: [before, queued, setUp, secondsBetween(start, done)] };
}

/** A clock that was set back must not show as a negative delay. */
function secondsBetween(from: WallTime, to: WallTime): number {
  const microseconds = (to.seconds - from.seconds) * 1e6 + to.microseconds - from.microseconds;
  return Math.max(0, microseconds) / 1e6;
}

export function isSet(time: WallTime): boolean {
  return time.seconds > 0;
}

function writeTime(bytes: Buffer, offset: number, time: WallTime): void {
  bytes.writeUInt32LE(time.seconds % TWO_TO_32, offset);
  bytes.writeUInt32LE(Math.floor(time.seconds / TWO_TO_32), offset + 4);
  bytes.writeUInt32LE(time.microseconds, offset + 8);
}

function readTime(bytes: Buffer, offset: number): WallTime {
  const seconds = bytes.readUInt32LE(offset) + bytes.readInt32LE(offset + 4) * TWO_TO_32;
  return { seconds, microseconds: bytes.readUInt32LE(offset + 8) };
}
