/** What smtpd says to a command, and what it waits for then. */
import type { CountedCommand } from './command-counts.ts';
import type { Line } from './command-input.ts';
import type { ContentInput } from './content-reader.ts';

/** What a command answers, and whether it went well. */
export interface Answer {
  /** `250 2.1.0 Ok`, or one such line each; no line: silence; an empty one: the client is hung up on. */
  readonly reply: string | readonly string[];
  /** It counts against the client. By default, what starts with 4 or 5 does. */
  readonly isError?: boolean;
  /** It is neither a success nor an error. */
  readonly isUncounted?: boolean;
  /** The connection closes after it. */
  readonly closes?: boolean;
  /** A message was taken: what the client did wrong before is forgotten. */
  readonly forgives?: boolean;
  /** What follows the reply is content. */
  readonly content?: ContentSink;
  /** The client's next line is no command: it answers this. */
  readonly question?: Question;
}

/** Something that a client answers with a line, as in AUTH. */
export interface Question {
  /** Longer lines are cut. */
  readonly lineBytesMax: number;
  answer(line: Line): Promise<Answer>;
  /** There will be no answer: the session has ended. */
  cancel(): void;
}

/** Takes the content of a message. */
export interface ContentSink {
  /** The command that it belongs to. */
  readonly counted: CountedCommand;
  readonly reader: ContentInput & { readonly sizeBytes?: number };
  write(records: Buffer): Promise<void> | void;
  /** The content has ended: what became of the message. */
  finish(): Promise<Answer>;
}

export function isError({ reply, isError: told }: Answer): boolean {
  if (told !== undefined) return told;
  // To be hung up on is no success.
  if (reply === '') return true;
  const code = (typeof reply === 'string' ? reply : (reply[0] ?? '')).charCodeAt(0);
  return code === FOUR || code === FIVE;
}

const FOUR = '4'.charCodeAt(0);
const FIVE = '5'.charCodeAt(0);

/** These two codes say that the connection closes. RFC 5321 3.8, RFC 7504. */
export function isFarewell(reply: string): boolean {
  return reply.startsWith('421') || reply.startsWith('521');
}

/** `soft_bounce`: what would be for good is for now. */
export function soften(line: string): string {
  return line.replace(
    /^5(\d\d[ -])(?:5(\.\d{1,3}\.\d{1,3}))?/,
    (_all, rest: string, status?: string) =>
      status === undefined ? `4${rest}` : `4${rest}4${status}`,
  );
}
