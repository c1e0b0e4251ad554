import { connect } from 'node:net';

/** A message to send through the system under test. */
export interface OutgoingMessage {
  readonly from: string;
  readonly to: readonly string[];
  readonly subject?: string;
  readonly body?: string;
}

/** A whole reply: continuation lines, then the last one. */
const REPLY = /^(?:\d{3}-[^\n]*\n)*\d{3} [^\n]*\n/;

/**
 * A conversation with an SMTP server, one command after the other.
 *
 * @returns the replies, the greeting first: fewer, when the connection was lost
 */
export function converse(port: number, lines: readonly string[]): Promise<string[]> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const replies: string[] = [];
    const rest = [...lines];
    let seen = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      seen += text;
      for (let found = REPLY.exec(seen); found !== null; found = REPLY.exec(seen)) {
        seen = seen.slice(found[0].length);
        replies.push(found[0].trimEnd().replaceAll('\r', ''));
        const next = rest.shift();
        if (next === undefined) socket.end();
        else socket.write(`${next}\r\n`, 'latin1');
      }
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => resolve(replies));
  });
}

/** Sends one message. @returns the last reply to its content; @throws when anything was refused */
export async function sendBySmtp(port: number, message: OutgoingMessage): Promise<string> {
  const { from, to, subject = 'test', body = 'hello' } = message;
  const text = `From: <${from}>\r\nSubject: ${subject}\r\n\r\n${body}\r\n.`;
  const replies = await converse(port, [
    'EHLO client.test',
    `MAIL FROM:<${from}>`,
    ...to.map((address) => `RCPT TO:<${address}>`),
    'DATA',
    text,
    'QUIT',
  ]);
  const refused = replies.find((reply) => /^[45]/.test(reply));
  if (refused !== undefined || replies.length < to.length + 5) {
    throw new Error(`message refused: ${replies.join(' | ')}`);
  }
  return replies.at(-2) ?? '';
}
