/**
 * What postdrop(1) and the submission socket take from local users: which records, in which order.
 * Records in, a verdict out; no I/O. ipc.md 3.2.
 */
import { RECORD } from '../../lib/queue/record.ts';
import { judgeAttribute } from './attribute-rules.ts';

/** Allowed in each part; the first letter ends it. */
const PARTS = ['MTCFSRVAin', 'XLN', 'EAR'] as const;

/** What to do with a record. */
export type RecordVerdict =
  | { readonly kind: 'keep' }
  /** Keep it, but say it so. */
  | { readonly kind: 'rewrite'; readonly text: string }
  | { readonly kind: 'skip'; readonly warning?: string }
  /** The last one. */
  | { readonly kind: 'end' }
  | { readonly kind: 'refuse'; readonly why: string };

const KEEP: RecordVerdict = { kind: 'keep' };
const SKIP: RecordVerdict = { kind: 'skip' };
const END: RecordVerdict = { kind: 'end' };

export class SubmissionRecords {
  #part = 0;
  #senders = 0;
  #recipients = 0;
  readonly #lineLimit: number;

  /** @param lineLimit line_length_limit: pickup takes no longer record from a file */
  constructor(lineLimit: number) {
    this.#lineLimit = lineLimit;
  }

  /** Between `M` and `X`: records are text, and most of them are kept. */
  get inContent(): boolean {
    return this.#part === 1;
  }

  /** Sender and recipients are there. */
  get isWhole(): boolean {
    return this.#senders > 0 && this.#recipients > 0;
  }

  /** Judges the next record; `data` is only asked for where it matters. */
  judge(type: string, length: number, data: () => string): RecordVerdict {
    if (length > this.#lineLimit) return { kind: 'refuse', why: 'malformed input' };
    const allowed = PARTS[this.#part] ?? '';
    if (!allowed.includes(type)) {
      return { kind: 'refuse', why: `unexpected record type: ${type.charCodeAt(0)}` };
    }
    if (type === allowed[0]) {
      this.#part += 1;
      return type === RECORD.end ? END : KEEP;
    }
    if (this.#part === 1) return KEEP;
    switch (type) {
      // Ours count.
      case RECORD.time:
      case RECORD.size:
        return SKIP;
      case RECORD.sender:
        this.#senders += 1;
        return KEEP;
      case RECORD.recipient:
        this.#recipients += 1;
        return KEEP;
      case RECORD.attribute: {
        const verdict = judgeAttribute(data());
        return verdict.kind === 'keep'
          ? { kind: 'rewrite', text: verdict.text }
          : { kind: 'skip', warning: verdict.warning };
      }
      default:
        return KEEP;
    }
  }
}
