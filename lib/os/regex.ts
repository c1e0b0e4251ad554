/** POSIX regular expressions as libc has them: leftmost, longest. Compiled patterns are freed by hand. */
import { declare } from './native.ts';

const regcomp = declare('int regcomp(void *compiled, const char *pattern, int flags)');
const regexec = declare(
  'int regexec(void *compiled, const char *text, size_t count, void *matches, int flags)',
);
const regerror = declare<number>(
  'size_t regerror(int code, void *compiled, void *text, size_t size)',
);
const regfree = declare<void>('void regfree(void *compiled)');

const REG_EXTENDED = 1;
const REG_ICASE = 2;
const REG_NEWLINE = 4;
const REG_NOMATCH = 1;
/** More than any libc's regex_t (glibc: 64). */
const COMPILED_BYTES = 256;
const ERROR_BYTES = 256;
/** `$0` to `$99` are all that a table's result may name. */
const GROUPS_MAX = 100;

export interface RegexFlags {
  readonly extended: boolean;
  readonly ignoreCase: boolean;
  /** `^` and `$` match at line breaks, and `.` matches none. */
  readonly multiLine: boolean;
}

/** A pattern that libc refuses, or gives up on; the message is libc's. */
export class RegexError extends Error {
  override readonly name = 'RegexError';
}

/** One compiled pattern. */
export class Regex {
  readonly #compiled = Buffer.alloc(COMPILED_BYTES);
  /** How many groups the pattern has. */
  readonly groups: number;

  /** @throws {RegexError} */
  constructor(pattern: string, flags: RegexFlags) {
    const bits =
      (flags.extended ? REG_EXTENDED : 0) |
      (flags.ignoreCase ? REG_ICASE : 0) |
      (flags.multiLine ? REG_NEWLINE : 0);
    const code = regcomp(this.#compiled, pattern, bits);
    if (code !== 0) throw new RegexError(messageOf(code, this.#compiled));
    this.groups = groupsOf(this.#compiled);
  }

  /** @throws {RegexError} when libc runs out of memory for it */
  test(text: string): boolean {
    return this.#execute(text, 0, null);
  }

  /**
   * @returns the match and its first `groups` groups (those that took no part are empty)
   * @throws {RegexError}
   */
  match(text: string, groups: number): string[] | undefined {
    const count = Math.min(groups + 1, GROUPS_MAX);
    const offsets = Buffer.alloc(count * 2 * layout().offsetBytes);
    if (!this.#execute(text, count, offsets)) return undefined;
    const bytes = Buffer.from(text);
    return Array.from({ length: count }, (_, group) => {
      const start = offsetAt(offsets, group * 2);
      return start < 0 ? '' : bytes.toString('utf8', start, offsetAt(offsets, group * 2 + 1));
    });
  }

  #execute(text: string, count: number, offsets: Buffer | null): boolean {
    const code = regexec(this.#compiled, text, count, offsets, 0);
    if (code > REG_NOMATCH) throw new RegexError(messageOf(code, this.#compiled));
    return code === 0;
  }

  close(): void {
    regfree(this.#compiled);
  }
}

function messageOf(code: number, compiled: Buffer): string {
  const text = Buffer.alloc(ERROR_BYTES);
  const size = Number(regerror(code, compiled, text, text.length));
  return text.toString('utf8', 0, Math.max(0, Math.min(size, text.length) - 1));
}

/** Where this libc keeps the number of groups, and how wide its offsets are. */
interface Layout {
  readonly groupsAt: number;
  readonly offsetBytes: 4 | 8;
}

let known: Layout | undefined;

function layout(): Layout {
  known ??= probe();
  return known;
}

/** glibc and musl lay these structures out differently, so we look, instead of asking who is who. */
function probe(): Layout {
  const compiled = Buffer.alloc(COMPILED_BYTES);
  const offsets = Buffer.alloc(64);
  regcomp(compiled, '(b)(c)(d)', REG_EXTENDED);
  regexec(compiled, 'abcd', 2, offsets, 0);
  regfree(compiled);
  const groupsAt = [48, 0].find((at) => compiled.readBigUInt64LE(at) === 3n);
  const offsetBytes = offsets.readInt32LE(4) === 4 ? 4 : 8;
  if (groupsAt === undefined || offsets.readInt32LE(0) !== 1) {
    throw new Error('regexp: this C library is neither glibc nor musl; use pcre: tables');
  }
  return { groupsAt, offsetBytes };
}

function groupsOf(compiled: Buffer): number {
  return Number(compiled.readBigUInt64LE(layout().groupsAt));
}

function offsetAt(offsets: Buffer, index: number): number {
  return layout().offsetBytes === 4
    ? offsets.readInt32LE(index * 4)
    : Number(offsets.readBigInt64LE(index * 8));
}
