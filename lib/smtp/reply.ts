/**
 * SMTP replies: what a server says, one to many lines. RFC 5321 4.2.
 */

/** One whole reply. */
export interface Reply {
  /** 200 to 599. */
  readonly code: number;
  /** The RFC 3463 status that starts the text, when it is of the code's class; else ''. */
  readonly status: string;
  /** The text of each line, without the code and separator; it still starts with the status. */
  readonly lines: readonly string[];
}

/** `250 2.1.0 Ok`: makes a reply of one string; later lines may follow after `\n`. */
export function reply(text: string): Reply {
  const code = Number(text.slice(0, 3));
  const lines = text.split('\n').map((line) => (line.startsWith(`${code}`) ? line.slice(4) : line));
  return { code, status: statusOf(code, lines[0] ?? ''), lines };
}

/** As it goes over the wire: `-` after the code of every line but the last. */
export function formatReply({ code, lines }: Reply): string {
  const last = lines.length - 1;
  if (last <= 0) return `${code} ${lines[0] ?? ''}\r\n`;
  let text = '';
  lines.forEach((line, index) => {
    text += `${code}${index === last ? ' ' : '-'}${line}\r\n`;
  });
  return text;
}

/** As it is quoted in reports: the lines with their codes, one below the other. */
export function quoteReply({ code, lines }: Reply): string {
  const last = lines.length - 1;
  return lines
    .map((line, index) => {
      if (index < last) return `${code}-${line}`;
      return line === '' ? `${code}` : `${code} ${line}`;
    })
    .join('\n');
}

const STATUS = /^ *([245]\.\d{1,3}\.\d{1,3})(?= |$)/;

/** The enhanced status code a reply's text starts with, unless it contradicts the reply code. */
export function statusOf(code: number, text: string): string {
  const found = STATUS.exec(text)?.[1];
  return found !== undefined && found[0] === String(code)[0] ? found : '';
}
