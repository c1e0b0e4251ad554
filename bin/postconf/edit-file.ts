/** Changing main.cf and master.cf: a new file beside the old one, then renamed over it. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { openErrorText } from '../../lib/config/source.ts';
import { flock } from '../../lib/os/locks.ts';

/** The work file's name, which is also the lock between two editors. */
const WORK_SUFFIX = '.tmp';
const MODE = 0o644;

/** A logical line with what stands in it: comments and empty lines stay where they are. */
export interface Block {
  /** Physical lines with their line ends. */
  readonly lines: readonly string[];
  /** The logical line; undefined for comments before the first one. */
  readonly text: string | undefined;
}

/**
 * Rewrites `file` with what `edit` makes of its text. Readers see the old file or the new one.
 *
 * @throws {Error} with Postfix's text
 */
export function editFile(file: string, edit: (text: string) => string): void {
  const work = file + WORK_SUFFIX;
  const fd = openWorkFile(work);
  try {
    writeAll(fd, edit(readOrFail(file)));
    fsyncSync(fd);
    renameSync(work, file);
  } finally {
    closeSync(fd);
  }
}

/** Opens and locks the work file: not one that another editor has meanwhile made the real file. */
function openWorkFile(work: string): number {
  for (;;) {
    const fd = openOrFail(work);
    flock(fd, 'exclusive', { wait: true });
    if (statSync(work, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) {
      ftruncateSync(fd);
      return fd;
    }
    closeSync(fd);
  }
}

function openOrFail(file: string): number {
  try {
    return openSync(file, 'a', MODE);
  } catch (cause) {
    throw new Error(`open ${file}: ${openErrorText(cause)}`, { cause });
  }
}

function readOrFail(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (cause) {
    throw new Error(`open ${file} for reading: ${openErrorText(cause)}`, { cause });
  }
}

function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text, 'latin1');
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Splits a file into its logical lines; together they are the file again. */
export function parseBlocks(file: string): Block[] {
  const blocks: { lines: string[]; text: string | undefined }[] = [];
  let pending: string[] = [];
  for (const line of file.match(/[^\n]*\n|[^\n]+$/g) ?? []) {
    const whole = line.endsWith('\n') ? line : `${line}\n`;
    const last = blocks.at(-1);
    if (isComment(whole)) {
      pending.push(whole);
    } else if (/^\s/.test(whole) && last?.text !== undefined) {
      last.lines.push(...pending, whole);
      last.text += whole.slice(0, -1);
      pending = [];
    } else {
      if (pending.length > 0) blocks.push({ lines: pending, text: undefined });
      blocks.push({ lines: [whole], text: whole.slice(0, -1) });
      pending = [];
    }
  }
  if (pending.length > 0) blocks.push({ lines: pending, text: undefined });
  return blocks;
}

/** An empty line, or one whose first character that is not a blank is `#`. */
export function isComment(line: string): boolean {
  return /^\s*(?:#|$)/.test(line);
}

/** The block's comment and empty lines. */
export function commentsOf(block: Block): string {
  return block.lines.filter(isComment).join('');
}

/** The block with a `#` before each line that is not one already. */
export function commentOut(block: Block): string {
  return block.lines.map((line) => (isComment(line) ? line : `#${line}`)).join('');
}

/** @throws {Error} when an operand of an edit can't stand in a file */
export function checkOperand(operand: string): void {
  if (operand.includes('\n')) throw new Error('-e, -X, or -# accepts no multi-line input');
  if (/^\s*#/.test(operand)) throw new Error('-e, -X, or -# accepts no comment input');
}
