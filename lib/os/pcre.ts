/** Perl-compatible regular expressions: libpcre2-8, if this machine has it. Freed by hand. */
import { declare } from './native.ts';

const LIBRARY = 'libpcre2-8.so.0';
const RTLD_NOW_GLOBAL = 0x102;
const dlopen = declare<bigint | null>('void *dlopen(const char *path, int flags)');

const compile = declare<bigint | null>(
  'void *pcre2_compile_8(const char *pattern, size_t length, uint32_t options, void *code, void *offset, void *context)',
);
const jitCompile = declare('int pcre2_jit_compile_8(void *compiled, uint32_t options)');
const patternInfo = declare(
  'int pcre2_pattern_info_8(void *compiled, uint32_t what, void *answer)',
);
const freeCode = declare<void>('void pcre2_code_free_8(void *compiled)');
const createMatch = declare<bigint>(
  'void *pcre2_match_data_create_from_pattern_8(void *compiled, void *context)',
);
const freeMatch = declare<void>('void pcre2_match_data_free_8(void *match)');
const createContext = declare<bigint>('void *pcre2_match_context_create_8(void *context)');
const setMatchLimit = declare('int pcre2_set_match_limit_8(void *context, uint32_t limit)');
const matchText = declare(
  'int pcre2_match_8(void *compiled, const char *text, size_t length, size_t start, uint32_t options, void *match, void *context)',
);
const copyGroup = declare(
  'int pcre2_substring_copy_bynumber_8(void *match, uint32_t number, void *text, void *length)',
);
const errorMessage = declare('int pcre2_get_error_message_8(int code, void *text, size_t size)');

const NO_MATCH = -1;
const JIT_COMPLETE = 1;
const INFO_CAPTURE_COUNT = 4;
/** A pattern that backtracks more is in trouble; it takes some 30 ms to get there. */
const MATCH_LIMIT = 1_000_000;
const ERROR_BYTES = 256;

/** The option letters of a pattern, as PCRE2's bits. */
export const PCRE_OPTION = {
  caseless: 0x8,
  multiLine: 0x400,
  dotAll: 0x20,
  extended: 0x80,
  anchored: 0x8000_0000,
  dollarEndOnly: 0x10,
  ungreedy: 0x4_0000,
} as const;

/** A pattern that the library refuses. */
export class PcreError extends Error {
  override readonly name = 'PcreError';
  /** Where in the pattern, in bytes. */
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(message);
    this.offset = offset;
  }
}

/** A match that was given up, because it took too many steps. */
export class PcreLimitError extends Error {
  override readonly name = 'PcreLimitError';
}

let context: bigint | null | undefined;

/** Whether libpcre2 is installed; loads it. */
export function havePcre(): boolean {
  if (context !== undefined) return context !== null;
  if (!dlopen(LIBRARY, RTLD_NOW_GLOBAL)) {
    context = null;
    return false;
  }
  context = createContext(null);
  setMatchLimit(context, MATCH_LIMIT);
  return true;
}

/** One compiled pattern. */
export class Pcre {
  readonly #compiled: bigint;
  readonly #match: bigint;
  /** How many groups the pattern has. */
  readonly groups: number;

  /** @throws {PcreError} */
  constructor(pattern: string, options: number) {
    const code = Buffer.alloc(4);
    const offset = Buffer.alloc(8);
    const length = Buffer.byteLength(pattern);
    const compiled = compile(pattern, length, options >>> 0, code, offset, null);
    if (!compiled)
      throw new PcreError(messageOf(code.readInt32LE()), Number(offset.readBigUInt64LE()));
    this.#compiled = compiled;
    jitCompile(compiled, JIT_COMPLETE);
    this.#match = createMatch(compiled, null);
    const groups = Buffer.alloc(4);
    patternInfo(compiled, INFO_CAPTURE_COUNT, groups);
    this.groups = groups.readUInt32LE();
  }

  /** @throws {PcreLimitError} */
  test(text: string): boolean {
    const length = Buffer.byteLength(text);
    const count = matchText(this.#compiled, text, length, 0, 0, this.#match, context ?? null);
    if (count === NO_MATCH) return false;
    if (count < 0) throw new PcreLimitError(messageOf(count));
    return true;
  }

  /**
   * @returns the match and its first `groups` groups (those that took no part are empty)
   * @throws {PcreLimitError}
   */
  match(text: string, groups: number): string[] | undefined {
    if (!this.test(text)) return undefined;
    const room = Buffer.alloc(Buffer.byteLength(text) + 1);
    return Array.from({ length: groups + 1 }, (_, group) => this.#group(group, room));
  }

  #group(number: number, room: Buffer): string {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(room.length));
    if (copyGroup(this.#match, number, room, length) !== 0) return '';
    return room.toString('utf8', 0, Number(length.readBigUInt64LE()));
  }

  close(): void {
    freeMatch(this.#match);
    freeCode(this.#compiled);
  }
}

function messageOf(code: number): string {
  const text = Buffer.alloc(ERROR_BYTES);
  const length = errorMessage(code, text, text.length);
  return length > 0 ? text.toString('utf8', 0, length) : `error ${code}`;
}
