/** What clients of many tests say, and who they are. */
import type { Session } from './compare.ts';
import { type Step, send } from './dialogue.ts';

export const EHLO = 'EHLO client.test';
export const FROM = 'MAIL FROM:<ann@client.test>';
export const TO = 'RCPT TO:<root@lab.test>';
export const QUIT = 'QUIT';
export const MESSAGE = send('Subject: test\r\n\r\nhello\r\n.\r\n');
export const ENVELOPE: readonly Step[] = [EHLO, FROM, TO];
export const DATA = ['DATA', MESSAGE] as const;

/** A client outside mynetworks. */
export const stranger = (...steps: readonly Step[]): Session => ({ from: '127.0.0.5', steps });

/** MAIL commands, each in a transaction of its own. */
export const senders = (...arguments_: readonly string[]): readonly Step[] => [
  EHLO,
  ...arguments_.flatMap((argument) => [`MAIL ${argument}`, 'RSET']),
  QUIT,
];

/** RCPT commands in one transaction. */
export const recipients = (...arguments_: readonly string[]): readonly Step[] => [
  EHLO,
  FROM,
  ...arguments_.map((argument) => `RCPT ${argument}`),
  QUIT,
];

/** Recipients of one transaction. */
export const addresses = (...list: readonly string[]): readonly Step[] =>
  recipients(...list.map((address) => `TO:<${address}>`));

export const repeat = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);

/** A message after DATA. */
export const content = (text: string) => send(`${text}\r\n.\r\n`);
