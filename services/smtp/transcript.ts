/**
 * What was said in a session, for postmaster, when a server and we did not understand each other:
 * `notify_classes = protocol`. Pure.
 */
import { wrapLine } from '../../lib/dsn/wrap.ts';
import type { Reply } from '../../lib/smtp/reply.ts';

/** So much of a dialogue tells the story. */
const LINES_MAX = 1000;
const LINE_LENGTH_MAX = 500;
/** Of a line in the notice, without the blank in front. */
const WIDTH = 78;

export class Transcript {
  readonly #lines: string[] = [];
  #isOfInterest = false;

  /** Something went wrong that is for postmaster to see. */
  get isOfInterest(): boolean {
    return this.#isOfInterest;
  }

  get lines(): readonly string[] {
    return this.#lines;
  }

  said(commands: string): void {
    for (const line of commands.split('\r\n')) if (line !== '') this.#add(`Out: ${line}`);
  }

  heard({ code, lines }: Reply): void {
    const last = lines.length - 1;
    lines.forEach((line, index) => {
      this.#add(`In:  ${code}${index === last ? ' ' : '-'}${line}`);
    });
  }

  /** A reply was a failure. RFC 5321 4.2.1: 50x are about our side of the protocol. */
  failed({ code }: Reply): void {
    if (code < 400 || code > 599 || code === 555 || (code >= 500 && code < 510)) {
      this.#isOfInterest = true;
    }
  }

  /** It has been told; what follows is another story. */
  clear(): void {
    this.#lines.length = 0;
    this.#isOfInterest = false;
  }

  #add(line: string): void {
    if (this.#lines.length < LINES_MAX) this.#lines.push(line.slice(0, LINE_LENGTH_MAX));
  }
}

export interface NoticeFacts {
  readonly protocol: 'smtp' | 'lmtp';
  /** `mx.example.com[192.0.2.1]:25` */
  readonly relay: string;
  readonly mailName: string;
  readonly hostname: string;
  readonly recipient: string;
  /** header_from_format = obsolete */
  readonly oldFrom: boolean;
}

/** The lines of the notice. */
export function noticeOf(transcript: Transcript, facts: NoticeFacts): string[] {
  const { protocol, relay, mailName, hostname, recipient, oldFrom } = facts;
  const named = (name: string, address: string) =>
    oldFrom ? `${address} (${name})` : `${name} <${address}>`;
  return [
    `From: ${named('Mail Delivery System', `MAILER-DAEMON@${hostname}`)}`,
    `To: ${named('Postmaster', recipient)}`,
    `Subject: ${mailName} ${protocol.toUpperCase()} client: errors from ${relay}`,
    '',
    `Unexpected response from ${relay}.`,
    '',
    'Transcript of session follows.',
    '',
    ...transcript.lines.flatMap((line) => wrapLine(line, WIDTH)).map((line) => ` ${line}`),
    '',
    'For other details, see the local mail logfile',
  ];
}
