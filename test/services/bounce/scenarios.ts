/** What the differential tests ask of bounce, defer and trace. */
import type { Instance, Notice } from './instance.ts';

export type Attribute = readonly [string, string | number];

/** One request, with what has to be there before it. */
export interface Step {
  readonly name: string;
  readonly service: 'bounce' | 'defer' | 'trace';
  readonly attributes: readonly Attribute[];
  /** The log before the request; undefined leaves what is there. */
  readonly log?: string;
  readonly content?: readonly (readonly [string, string])[];
}

/** What came of a step: everything that another program can see. */
export interface Result {
  readonly name: string;
  readonly status: number;
  readonly notices: readonly Notice[];
  readonly logs: readonly (string | undefined)[];
  /** Types of the recipient records: `R` to do, `D` done. */
  readonly recipients: string;
}

export const QUEUE_ID = 'AAAAAAAA1';

/** Carries out the steps, one after the other. */
export async function play(instance: Instance, steps: readonly Step[]): Promise<Result[]> {
  const results: Result[] = [];
  for (const step of steps) {
    const before = instance.notices.length;
    if (step.content !== undefined) instance.writeQueueFile(QUEUE_ID, step.content);
    if (step.log !== undefined) instance.writeLog(step.service, QUEUE_ID, step.log);
    const status = await instance.ask(step.service, step.attributes);
    results.push({
      name: step.name,
      status,
      notices: instance.notices.slice(before).map(withoutTimes),
      logs: [instance.readLog(step.service, QUEUE_ID)],
      recipients: instance.recipientMarks(QUEUE_ID),
    });
  }
  return results;
}

/** Times and queue ids are not what two runs have in common. */
function withoutTimes({ flags, records }: Notice): Notice {
  return {
    flags,
    records: records.map((record) =>
      record
        .replace(/^T .*/, 'T time')
        .replace(/^N \tid \w+; .*/, 'N \tid QUEUEID; date')
        .replace(/^N Date: .*/, 'N Date: date')
        .replace(/(AAAAAAAA\d)\.\d+\//, '$1.time/'),
    ),
  };
}

/** Recipients bad1 and "bad 2"; where their records are, `OFFSETS` tells. */
export const MESSAGE: readonly (readonly [string, string])[] = [
  ['T', '1795300680 123456'],
  ['A', 'create_time=1795300681'],
  ['A', 'log_ident=x'],
  ['S', 'alice@client.test'],
  ['A', 'encoding=8bit'],
  ['R', 'bad1@mix.test'],
  ['R', 'bad 2@mix.test'],
  ['M', ''],
  ['N', 'Received: from x'],
  ['N', '\tby y'],
  ['N', 'Message-ID: <orig@x>'],
  ['N', 'Subject: s'],
  ['N', '\tcontinued'],
  ['N', ''],
  ['N', 'body'],
  ['L', 'part '],
  ['N', 'rest'],
  ['N', ''],
  ['X', ''],
  ['E', ''],
];

export const SENDER = 'alice@client.test';

interface Subject {
  readonly flags?: number;
  readonly queueName?: string;
  readonly queueId?: string;
  readonly encoding?: string;
  readonly utf8?: number;
  readonly sender?: string;
  readonly envelopeId?: string;
  readonly ret?: number;
}

/** flush 1, warn 2, verp 3, one 4, trace 5. */
export function notice(number: number, subject: Subject = {}): Attribute[] {
  return [
    ['nrequest', number],
    ['flags', subject.flags ?? 0],
    ['queue_name', subject.queueName ?? 'active'],
    ['queue_id', subject.queueId ?? QUEUE_ID],
    ['encoding', subject.encoding ?? '8bit'],
    ['smtputf8', subject.utf8 ?? 0],
    ['sender', subject.sender ?? SENDER],
    ['envelope_id', subject.envelopeId ?? ''],
    ['ret_flags', subject.ret ?? 0],
  ];
}

interface Told {
  readonly original?: string;
  readonly address: string;
  readonly offset?: number;
  readonly dsnOriginal?: string;
  readonly notify?: number;
  readonly status: string;
  readonly action: string;
  readonly diagnostic?: readonly [string, string];
  readonly mta?: readonly [string, string];
  readonly reason: string;
}

/** The recipient and DSN groups. */
export function told(entry: Told): Attribute[] {
  return [
    ['original_recipient', entry.original ?? entry.address],
    ['recipient', entry.address],
    ['offset', entry.offset ?? 0],
    ['dsn_orig_rcpt', entry.dsnOriginal ?? ''],
    ['notify_flags', entry.notify ?? 0],
    ['status', entry.status],
    ['diag_type', entry.diagnostic?.[0] ?? ''],
    ['diag_text', entry.diagnostic?.[1] ?? ''],
    ['mta_type', entry.mta?.[0] ?? ''],
    ['mta_mname', entry.mta?.[1] ?? ''],
    ['action', entry.action],
    ['reason', entry.reason],
  ];
}

/** An append request. */
export function append(entry: Told): Attribute[] {
  return [['nrequest', 0], ['flags', 0], ['queue_id', QUEUE_ID], ...told(entry)];
}

/** A log with one entry. */
export function logOf(fields: Record<string, string | number>): string {
  const lines = Object.entries(fields).map(([name, value]) => `${name}=${value}\n`);
  return `\n<${fields['recipient']}>: ${fields['reason']}\n${lines.join('')}\n`;
}
