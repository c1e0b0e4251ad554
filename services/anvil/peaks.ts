import { formatStamp } from '../../lib/log/prefix.ts';

/** What the statistics are about, in the order in which they are logged. */
const SUBJECTS = [
  'connection rate',
  'connection count',
  'message rate',
  'recipient rate',
  'newtls rate',
  'auth rate',
  'cache size',
] as const;

export type Subject = (typeof SUBJECTS)[number];

interface Peak {
  readonly value: number;
  readonly ident: string | undefined;
  readonly time: number;
}

/** The highest values since they were last logged, and whose they were. */
export class Peaks {
  readonly #unitSeconds: number;
  readonly #peaks = new Map<Subject, Peak>();

  constructor(unitSeconds: number) {
    this.#unitSeconds = unitSeconds;
  }

  /** @param ident undefined when it is about all clients */
  note(subject: Subject, value: number, ident: string | undefined, time: number): void {
    if (value > (this.#peaks.get(subject)?.value ?? 0)) {
      this.#peaks.set(subject, { value, ident, time });
    }
  }

  /** What there is to log; the next statistics begin. */
  take(): string[] {
    const lines: string[] = [];
    for (const subject of SUBJECTS) {
      const peak = this.#peaks.get(subject);
      if (peak !== undefined) lines.push(this.#format(subject, peak));
    }
    this.#peaks.clear();
    return lines;
  }

  #format(subject: Subject, { value, ident, time }: Peak): string {
    const unit = subject.endsWith(' rate') ? `/${this.#unitSeconds}s` : '';
    const whose = ident === undefined ? '' : ` for (${ident})`;
    return `statistics: max ${subject} ${value}${unit}${whose} at ${asctimeStamp(time)}`;
  }
}

/** As ctime(3) has it: `Nov  1 22:34:12`. */
function asctimeStamp(time: number): string {
  return formatStamp(time).replace(/ 0(\d) /, '  $1 ');
}
