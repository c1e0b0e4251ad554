/** A header as records of the queue file. */
import { isAscii } from '../../lib/message/byte-string.ts';
import { RECORD } from '../../lib/queue/record.ts';
import { pad } from './hooks.ts';
import { type Message, SEND_OPTION } from './message.ts';

/** Writes a header, one record for each line of it. */
export function writeHeader(message: Message, text: string): void {
  if (!isAscii(text)) message.noteUtf8(SEND_OPTION.utf8Header);
  if (!text.includes('\n')) {
    writeLine(message, text);
    return;
  }
  for (const [index, line] of text.split('\n').entries()) {
    const isFolded = line.startsWith(' ') || line.startsWith('\t');
    if (index === 0) writeLine(message, line);
    else message.put(RECORD.text, isFolded ? line : `\t${line}`);
  }
}

/** A header of one line, or its first one, that a pointer may take the place of, when a milter changes the header. */
export function writeLine(message: Message, line: string): void {
  message.put(RECORD.text, line);
  if (message.hooks !== undefined && message.writes) {
    pad(message.output, RECORD.padding, line.length);
  }
}
