import type { Form } from './attributes.ts';
import { IpcError } from './error.ts';
import type { FieldKind, Shape } from './fields.ts';
import type { Input } from './input.ts';
import { parseData, parseInt32, parseInt64, printableName } from './values.ts';

/** A name longer than this is no name of ours. */
export const NAME_BYTES_MAX = 100;
export const VALUE_BYTES_MAX = 204_800;
export const ATTRIBUTES_MAX = 1000;
export const HASH_ENTRIES_MAX = 1024;
/** All attributes of one list together. */
export const LIST_BYTES_MAX = 1 << 20;

export interface ReadOptions {
  /** Attributes that are not in the shape are skipped; otherwise they are an error. */
  readonly extra?: boolean;
  /** Attributes of the shape may be missing; otherwise that is an error. */
  readonly missing?: boolean;
  /** The list goes on after the last one wanted: its terminator is left unread. */
  readonly more?: boolean;
}

/** A field of a shape, with what reading it needs. */
interface Wanted {
  readonly key: string;
  readonly kind: FieldKind;
  readonly names: readonly string[];
  /** The first of the names, to compare without making a string. */
  readonly bytes: Buffer;
  /** The same with the NUL behind it. */
  readonly prefix: string;
  readonly optional: boolean;
}

/** The wanted fields of a shape. */
interface Plan {
  readonly wanted: readonly Wanted[];
  /** Each has one name and must be there: what comes is mostly exactly this. */
  readonly isFixed: boolean;
}

/** What is decoded at once; beyond a short list there may be anything behind it. */
const SHORT_BYTES_MAX = 4096;

const NUL = 0;
const NEWLINE = 0x0a;
const EQUALS = 0x3d;

/**
 * Reads one attribute list, from whatever has arrived so far; call it again when more has. Every
 * byte is looked at once, however slowly they come. It does no I/O.
 */
export class ListReader {
  /** Grows with each attribute. */
  readonly values: Record<string, unknown> = {};
  readonly #wanted: readonly Wanted[];
  readonly #isFixed: boolean;
  readonly #options: ReadOptions;
  readonly #plain: boolean;
  readonly #end: number;
  readonly #peer: string;
  #next = 0;
  #attributes = 0;
  #bytes = 0;
  /** Lengths, from the start of the attribute: of the name, once known, and of what was searched. */
  #nameLength = -1;
  #searched = 0;
  #hash: Map<string, string> | undefined;

  constructor(shape: Shape, options: ReadOptions, form: Form, peer: string) {
    const plan = planOf(shape);
    this.#wanted = plan.wanted;
    this.#options = options;
    this.#plain = form === 'plain';
    this.#end = this.#plain ? NEWLINE : NUL;
    this.#isFixed = plan.isFixed && !this.#plain && options.more !== true;
    this.#peer = peer;
  }

  /** Whether no attribute has been read yet. */
  get isUntouched(): boolean {
    return this.#bytes === 0;
  }

  /** What we were reading when the bytes ended: words for a message. */
  get position(): string {
    return this.#nameLength < 0 ? 'input attribute name' : 'input attribute value';
  }

  /**
   * @returns whether the list is complete: `values` has everything
   * @throws {IpcError} when it is not what we wanted, or over a limit
   */
  read(input: Input): boolean {
    if (this.#isFixed && this.#readWhole(input)) return true;
    for (;;) {
      if (this.#options.more === true && this.#allRead()) return true;
      if (!this.#findName(input)) return false;
      const { start } = input;
      if (this.#nameLength === 0 && input.bytes[start] === this.#end) {
        input.start += 1;
        this.#finish();
        return true;
      }
      if (this.#readBrace(input)) continue;
      const valueEnd = this.#findValue(input);
      if (valueEnd < 0) return false;
      this.#take(input, start + this.#nameLength + 1, valueEnd);
    }
  }

  /**
   * The usual case: all of a short list is there, it is ASCII, and it has what was wanted. One
   * string is made of it, instead of one for each value.
   *
   * @returns false when it is anything else; nothing has been taken then
   */
  #readWhole(input: Input): boolean {
    const { bytes, start, end } = input;
    if (this.#bytes > 0 || this.#searched > 0 || end - start > SHORT_BYTES_MAX) return false;
    const text = bytes.toString('utf8', start, end);
    if (text.length !== end - start) return false;
    let at = 0;
    for (const { key, kind, prefix } of this.#wanted) {
      if (!text.startsWith(prefix, at)) return false;
      const from = at + prefix.length;
      const to = text.indexOf('\0', from);
      if (to < 0) return false;
      const value =
        kind === 'str' ? text.slice(from, to) : parseValue(kind, bytes, start + from, start + to);
      if (value === undefined) return false;
      this.values[key] = value;
      at = to + 1;
    }
    if (text.charCodeAt(at) !== NUL) return false;
    input.start = start + at + 1;
    return true;
  }

  #allRead(): boolean {
    return this.#next === this.#wanted.length && this.#hash === undefined;
  }

  /** Finds where the name ends; for an empty name that is where the list ends. */
  #findName(input: Input): boolean {
    if (this.#nameLength >= 0) return true;
    const { bytes, start, end } = input;
    const limit = Math.min(end, start + NAME_BYTES_MAX + 1);
    for (let at = start + this.#searched; at < limit; at += 1) {
      const byte = bytes[at];
      if (byte === this.#end || (this.#plain && byte === EQUALS)) {
        this.#nameLength = at - start;
        this.#searched = this.#nameLength + 1;
        return true;
      }
    }
    if (limit - start > NAME_BYTES_MAX) throw this.#error('attribute name too long', input);
    this.#searched = limit - start;
    return false;
  }

  #findValue(input: Input): number {
    const { bytes, start, end } = input;
    if (this.#plain && bytes[start + this.#nameLength] !== EQUALS) {
      throw this.#error(`malformed attribute ${this.#name(input)}`);
    }
    const found = bytes.indexOf(this.#end, start + this.#searched);
    const valueEnd = found < 0 || found >= end ? -1 : found;
    const length = (valueEnd < 0 ? end : valueEnd) - start - this.#nameLength - 1;
    if (length > VALUE_BYTES_MAX) {
      throw this.#error(`value too long of attribute ${this.#name(input)}`);
    }
    if (valueEnd < 0) this.#searched = end - start;
    return valueEnd;
  }

  /** `{` and `}` stand alone, without a value. */
  #readBrace(input: Input): boolean {
    const { bytes, start } = input;
    if (this.#nameLength !== 1 || bytes[start + 1] !== this.#end) return false;
    if (bytes[start] === 0x7b && this.#wanted[this.#next]?.kind === 'hash' && !this.#hash) {
      this.#hash = new Map();
    } else if (bytes[start] === 0x7d && this.#hash !== undefined) {
      this.values[this.#wanted[this.#next]?.key ?? ''] = this.#hash;
      this.#hash = undefined;
      this.#next += 1;
    } else {
      return false;
    }
    this.#consume(input, start + 2);
    return true;
  }

  #take(input: Input, valueStart: number, valueEnd: number): void {
    this.#attributes += 1;
    if (this.#attributes > ATTRIBUTES_MAX + HASH_ENTRIES_MAX) {
      throw this.#error('too many attributes');
    }
    if (this.#hash !== undefined) this.#addToHash(input, valueStart, valueEnd);
    else {
      const wanted = this.#match(input);
      if (wanted !== undefined) {
        const value = this.#parse(wanted, input.bytes, valueStart, valueEnd);
        this.values[wanted.key] = value;
        this.#next += 1;
      }
    }
    this.#consume(input, valueEnd + 1);
  }

  #consume(input: Input, next: number): void {
    this.#bytes += next - input.start;
    if (this.#bytes > LIST_BYTES_MAX) throw this.#error('attribute list too long');
    input.start = next;
    this.#nameLength = -1;
    this.#searched = 0;
  }

  /** The field that the attribute at hand is, or `undefined` when it is one to skip. */
  #match(input: Input): Wanted | undefined {
    for (let at = this.#next; at < this.#wanted.length; at += 1) {
      const wanted = this.#wanted[at] as Wanted;
      if (this.#isNamed(input, wanted)) {
        this.#next = at;
        return wanted;
      }
      if (!wanted.optional && this.#options.missing !== true) break;
    }
    if (this.#options.extra === true) return undefined;
    const expected = this.#wanted[this.#next]?.names[0] ?? '(list terminator)';
    throw this.#error(
      `unexpected attribute ${this.#name(input)}`,
      undefined,
      ` (expecting: ${expected})`,
    );
  }

  #isNamed(input: Input, wanted: Wanted): boolean {
    const { bytes: name } = wanted;
    const { bytes, start } = input;
    if (name.length === this.#nameLength) {
      let at = 0;
      while (at < name.length && name[at] === bytes[start + at]) at += 1;
      if (at === name.length) return true;
    }
    return wanted.names.length > 1 && wanted.names.includes(this.#name(input));
  }

  #parse(wanted: Wanted, bytes: Buffer, start: number, end: number): unknown {
    const value = parseValue(wanted.kind, bytes, start, end);
    if (value !== undefined) return value;
    const what = wanted.kind === 'data' ? 'base64' : 'numerical';
    throw this.#error(`malformed ${what} data`, undefined, ` while reading ${wanted.names[0]}`);
  }

  #addToHash(input: Input, valueStart: number, valueEnd: number): void {
    const hash = this.#hash as Map<string, string>;
    const name = this.#name(input);
    if (hash.size >= HASH_ENTRIES_MAX) throw this.#error('too many entries in a hash');
    if (hash.has(name)) throw this.#error(`duplicate attribute ${name} in a hash`);
    hash.set(name, input.bytes.toString('utf8', valueStart, valueEnd));
  }

  /** At the terminator: what is still wanted must be something that may be missing. */
  #finish(): void {
    if (this.#hash !== undefined) throw this.#error('unexpected end of a hash');
    for (; this.#next < this.#wanted.length; this.#next += 1) {
      const wanted = this.#wanted[this.#next] as Wanted;
      if (!wanted.optional && this.#options.missing !== true) {
        throw new IpcError(`missing attribute ${wanted.names[0]} in input from ${this.#peer}`);
      }
    }
  }

  #name(input: Input): string {
    return printableName(input.bytes, input.start, input.start + this.#nameLength);
  }

  #error(what: string, input?: Input, more = ''): IpcError {
    const name = input && printableName(input.bytes, input.start, input.start + NAME_BYTES_MAX);
    return new IpcError(
      `${what}${name === undefined ? '' : ` (${name}...)`} from ${this.#peer}${more}`,
    );
  }
}

/** @returns `undefined` when the value is malformed */
function parseValue(kind: FieldKind, bytes: Buffer, start: number, end: number): unknown {
  switch (kind) {
    case 'str':
      return bytes.toString('utf8', start, end);
    case 'int':
      return parseInt32(bytes, start, end);
    case 'long':
      return parseInt64(bytes, start, end);
    case 'data':
      return parseData(bytes, start, end);
    case 'hash':
      // A hash has no value of its own; an attribute with its name is malformed.
      return undefined;
  }
}

/** Shapes are constants: each is looked at once. */
const compiled = new WeakMap<Shape, Plan>();

function planOf(shape: Shape): Plan {
  const known = compiled.get(shape);
  if (known !== undefined) return known;
  const wanted = Object.entries(shape).map(([key, { kind, names: own, optional }]) => {
    const names = own.length === 0 ? [key] : own;
    const name = names[0] ?? key;
    return { key, kind, names, bytes: Buffer.from(name), prefix: `${name}\0`, optional };
  });
  const isFixed = wanted.every(({ kind, optional }) => kind !== 'hash' && !optional);
  const plan = { wanted, isFixed };
  compiled.set(shape, plan);
  return plan;
}
