/** What the built-in engine answers to each command. smtp-replies.md 18.2. */
import type { Engine } from './engine.ts';
import { starttls } from './starttls.ts';

/** A reply, in lines if it has several; the last one; or whether it could be sent already. */
export type Answer =
  | string
  | readonly string[]
  | { readonly drop: string }
  | { readonly isSent: boolean };

export interface Command {
  readonly name: string;
  /** Absent: it is known, and not offered. */
  readonly run?: (engine: Engine, rest: string) => Answer | Promise<Answer>;
  /** It may come before STARTTLS. */
  readonly isPlain?: boolean;
}

const OK = '250 2.0.0 Ok';
const HELO_FIRST = '503 5.5.1 Error: send HELO/EHLO first';
const NO_RECIPIENTS = '554 5.5.1 Error: no valid recipients';

const COMMANDS: readonly Command[] = [
  {
    name: 'HELO',
    isPlain: true,
    run(engine, rest) {
      const [name] = nextWord(rest);
      if (name === '') return '501 Syntax: HELO hostname';
      engine.helo = name;
      engine.sender = undefined;
      return `250 ${engine.session.screen.parameters.myhostname}`;
    },
  },
  {
    name: 'EHLO',
    isPlain: true,
    async run(engine, rest) {
      const [name] = nextWord(rest);
      if (name === '') return '501 Syntax: EHLO hostname';
      engine.helo = name;
      engine.sender = undefined;
      engine.protocol = 'ESMTP';
      return await engine.offer();
    },
  },
  { name: 'XCLIENT' },
  { name: 'XFORWARD' },
  { name: 'AUTH' },
  {
    name: 'MAIL',
    run(engine, rest) {
      const { postscreen_helo_required } = engine.session.screen.parameters;
      if (postscreen_helo_required && engine.helo === undefined) return HELO_FIRST;
      if (engine.sender !== undefined) return '503 5.5.1 Error: nested MAIL command';
      const sender = addressIn(rest);
      if (sender === undefined) return '501 5.5.4 Syntax: MAIL FROM:<address>';
      engine.sender = sender;
      return '250 2.1.0 Ok';
    },
  },
  {
    name: 'RCPT',
    run(engine, rest) {
      const { session } = engine;
      if (engine.sender === undefined) return '503 5.5.1 Error: need MAIL command';
      const recipient = addressIn(rest);
      if (recipient === undefined) return '501 5.5.4 Syntax: RCPT TO:<address>';
      session.screen.logRejected(engine, recipient);
      return session.recipientReply;
    },
  },
  {
    name: 'DATA',
    run(engine, rest) {
      logWithout('DATA', engine);
      if (nextWord(rest)[0] !== '') return { drop: '501 5.5.4 Syntax: DATA' };
      if (engine.sender === undefined) return { drop: '503 5.5.1 Error: need RCPT command' };
      return { drop: NO_RECIPIENTS };
    },
  },
  {
    name: 'BDAT',
    run(engine, rest) {
      logWithout('BDAT', engine);
      if (nextWord(rest)[0] === '') return { drop: '501 5.5.4 Syntax: BDAT count [LAST]' };
      if (engine.sender === undefined) return { drop: '554 5.5.1 Error: need MAIL command' };
      return { drop: NO_RECIPIENTS };
    },
  },
  {
    name: 'RSET',
    run(engine) {
      engine.sender = undefined;
      return OK;
    },
  },
  { name: 'NOOP', isPlain: true, run: () => OK },
  {
    name: 'VRFY',
    run(engine, rest) {
      const { session } = engine;
      if (nextWord(rest)[0] === '') return '501 5.5.4 Syntax: VRFY address';
      if (session.screen.parameters.postscreen_disable_vrfy_command) {
        return '502 5.5.1 VRFY command is disabled';
      }
      return session.recipientReply;
    },
  },
  {
    name: 'ETRN',
    run(engine, rest) {
      const { postscreen_helo_required } = engine.session.screen.parameters;
      if (postscreen_helo_required && engine.helo === undefined) return HELO_FIRST;
      if (nextWord(rest)[0] === '') return '500 Syntax: ETRN domain';
      return '458 Unable to queue messages';
    },
  },
  {
    name: 'STARTTLS',
    isPlain: true,
    // Postfix's words for an argument, strange as they are.
    run: (engine, rest) =>
      nextWord(rest)[0] === '' ? starttls(engine) : '501 Syntax: EHLO hostname',
  },
  { name: 'QUIT', isPlain: true, run: () => ({ drop: '221 2.0.0 Bye' }) },
];

const BY_NAME: ReadonlyMap<string, Command> = new Map(
  COMMANDS.map((command) => [command.name, command]),
);

export function findCommand(word: string): Command | undefined {
  return BY_NAME.get(word.toUpperCase());
}

/** The first word of a line, and what follows it. */
export function nextWord(text: string): [word: string, rest: string] {
  const [, word = '', rest = ''] = /^[ \t\r\n]*([^ \t\r\n]*)[ \t\r\n]*(.*)$/s.exec(text) ?? [];
  return [word, rest];
}

function logWithout(command: 'DATA' | 'BDAT', { session }: Engine): void {
  session.screen.log.info(`${command} without valid RCPT from ${session.label}`);
}

/**
 * The address in `FROM:<ann@example.com>`, for the log. What is odd about it is of no matter here.
 *
 * @returns `undefined` when there is no colon
 */
export function addressIn(argument: string): string | undefined {
  const colon = argument.indexOf(':');
  if (colon < 0) return undefined;
  const text = argument.slice(colon + 1).replace(/^[ \t]+/, '');
  const isBracketed = text.startsWith('<');
  let address = '';
  let isQuoted = false;
  for (let at = isBracketed ? 1 : 0; at < text.length; at += 1) {
    const letter = text[at] as string;
    if (letter === '\\') {
      at += 1;
      address += text[at] ?? '';
    } else if (letter === '"') {
      isQuoted = !isQuoted;
    } else if (!isQuoted && letter === (isBracketed ? '>' : ' ')) {
      return address;
    } else {
      address += letter;
    }
  }
  return address;
}
