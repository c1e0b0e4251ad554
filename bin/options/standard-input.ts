import { createReadStream, fstatSync } from 'node:fs';
import type { Readable } from 'node:stream';

const INPUT = 0;
const PIECE_BYTES = 64 * 1024;

/**
 * What a command is given to read. Where it is one socket with the output (Postfix's sendmail and
 * spawn(8) start programs so), reading does not block: Node has switched that off for both.
 */
export function standardInput(): Readable {
  if (fstatSync(INPUT).isSocket()) return process.stdin;
  return createReadStream('', { fd: INPUT, autoClose: false, highWaterMark: PIECE_BYTES });
}
