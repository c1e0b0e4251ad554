/** Changing main.cf and master.cf: a new file beside the old one, then renamed over it. */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { openErrorText } from '../../lib/config/source.ts';
import { flock } from '../../lib/os/locks.ts';

/** The work file's name, which is also the lock between two editors. */
const WORK_SUFFIX = '.tmp';
/** Until it has the mode of the old file: there may be passwords in it. */
const WORK_MODE = 0o600;
const PERMISSIONS = 0o7777;

/** A logical line with what stands in it: comments and empty lines stay where they are. */
export interface Block {
  /** Physical lines with their line ends. */
  readonly lines: readonly string[];
  /** The logical line; undefined for comments before the first one. */
  readonly text: string | undefined;
}

/**
 * Rewrites `file` with what `edit` makes of its text. Readers see the old file or the new one,
 * which has the old one's owner and permissions; a symbolic link stays one. On any failure the
 * old file is what it was.
 *
 * @throws {Error} with Postfix's text
 */
export function editFile(file: string, edit: (text: string) => string): void {
  const target = existsSync(file) ? realpathSync(file) : file;
  const work = target + WORK_SUFFIX;
  const fd = openWorkFile(work);
  try {
    const text = edit(readOrFail(target));
    writeOrFail(fd, text, work);
    keepOwner(fd, statSync(target));
    renameOrFail(work, target);
  } catch (error) {
    unlinkSync(work);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** Only root may give files away: anybody else's edit makes the file his own, as in Postfix. */
function keepOwner(fd: number, { uid, gid, mode }: Stats): void {
  const made = fstatSync(fd);
  if (made.uid !== uid || made.gid !== gid) {
    try {
      fchownSync(fd, uid, gid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    }
  }
  fchmodSync(fd, mode & PERMISSIONS);
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
    return openSync(file, 'a', WORK_MODE);
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

function writeOrFail(fd: number, text: string, work: string): void {
  try {
    const bytes = Buffer.from(text, 'latin1');
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    fsyncSync(fd);
  } catch (cause) {
    // Postfix's words: its buffer is written when the file is closed.
    throw new Error(`close ${work}: ${openErrorText(cause)}`, { cause });
  }
}

function renameOrFail(work: string, target: string): void {
  try {
    renameSync(work, target);
  } catch (cause) {
    throw new Error(`rename ${work} ${target}: ${openErrorText(cause)}`, { cause });
  }
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
