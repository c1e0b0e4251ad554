/** The envelope of a message: all records of its queue file but the content. */
import type { WallTime } from '../clock/clock.ts';
import { EnvelopeScan } from './envelope-scan.ts';
import { RecordReader, type RecordSource, WINDOW_BYTES } from './record-reader.ts';
import type { SizeRecord } from './size-record.ts';

/** A recipient that is still to do. */
export interface QueuedRecipient {
  /** Before aliasing; `''` when the file does not say. */
  readonly original: string;
  readonly address: string;
  /** Of its record: where the mark goes when it is done. */
  readonly offset: number;
  /** ORCPT as `type;address`, or `''`. */
  readonly dsnOriginal: string;
  /** NOTIFY bits, lib/dsn; 0 when not given. */
  readonly notify: number;
}

export interface Envelope {
  /** Absent in maildrop. */
  readonly size: SizeRecord | undefined;
  /** When the sender began to hand it over. */
  readonly arrivalTime: WallTime | undefined;
  /** Seconds: age, lifetime and back-off count from here. */
  readonly createTime: number;
  /** `''` is the null sender; undefined: the file does not say. */
  readonly sender: string | undefined;
  readonly fullName: string | undefined;
  /** `transport:nexthop`. */
  readonly contentFilter: string | undefined;
  readonly inspector: string | undefined;
  /** All mail goes to this one instead. */
  readonly redirect: string | undefined;
  readonly verpDelimiters: string | undefined;
  readonly envelopeId: string;
  /** RET bits, lib/dsn. */
  readonly returnFlags: number;
  /** Seconds: when the sender is to hear of a delay; 0 never, negative: has heard. */
  readonly warnTime: number;
  /** Offset of that record, 0 when there is none. */
  readonly warnOffset: number;
  /** `trace_flags`, and the offset of its record. */
  readonly traceFlags: number;
  readonly traceOffset: number;
  /** Every named attribute but those of a recipient; the last one of a name counts. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly recipients: readonly QueuedRecipient[];
  /** Recipients that are done or canceled, as far as they were read. */
  readonly doneCount: number;
  /** More recipients may follow: read on from here. */
  readonly moreAt: number | undefined;
}

/** Some recipients of a message, and where the next ones are. */
export interface RecipientBatch {
  readonly recipients: readonly QueuedRecipient[];
  readonly moreAt: number | undefined;
}

/** An envelope is read in one go, and none of the bytes are kept: one buffer serves all. */
const SCRATCH = Buffer.allocUnsafeSlow(WINDOW_BYTES);

/**
 * Reads the envelope of a queue file up to its end record, skipping the content.
 *
 * At most `recipientLimit` recipients are taken into memory; `moreAt` is set when there are others.
 *
 * @throws {QueueFileError} when the file is damaged
 */
export function readEnvelope(
  source: RecordSource,
  recipientLimit = Number.POSITIVE_INFINITY,
): Envelope {
  return new EnvelopeScan(new RecordReader(source, 0, { scratch: SCRATCH }), recipientLimit).run();
}

/** Reads the next recipients of a message, from where the last batch ended. */
export function readRecipients(
  source: RecordSource,
  from: number,
  recipientLimit: number,
  size: SizeRecord,
): RecipientBatch {
  return new EnvelopeScan(
    new RecordReader(source, from, { scratch: SCRATCH }),
    recipientLimit,
    size,
  ).run();
}
