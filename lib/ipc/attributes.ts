/** A number is sent as `int`, a bigint as `long`, a Buffer as `data`. */
export type AttributeValue = string | number | bigint | Buffer | ReadonlyMap<string, string>;

/** One attribute to send: its name on the wire, and its value. */
export type Attribute = readonly [name: string, value: AttributeValue];

/** Postfix's usual form, or the lines of anvil and of policy servers. ipc.md 2.1. */
export type Form = 'null' | 'plain';

export interface FormatOptions {
  readonly form?: Form;
  /** The list goes on: no terminator. */
  readonly more?: boolean;
}

const TWO_TO_32 = 2 ** 32;

/**
 * Formats an attribute list, with its terminator. A byte that would end a value early (NUL, or a
 * newline in the plain form) becomes `?`: no value can smuggle in an attribute.
 */
export function formatAttributes(list: readonly Attribute[], options: FormatOptions = {}): Buffer {
  return Buffer.from(attributesText(list, options));
}

/** A 64-bit attribute: a negative number needs all of them. */
export function longValue(value: number): number | bigint {
  return value < 0 ? BigInt(value) : value;
}

/** The announcement with which every server of ours begins. ipc.md 2.3. */
export function announcement(protocol: string, ...more: readonly Attribute[]): Buffer {
  return formatAttributes([['protocol', protocol], ...more]);
}

/** The text of a list, for several that are sent as one Buffer. */
export function attributesText(list: readonly Attribute[], options: FormatOptions = {}): string {
  const plain = options.form === 'plain';
  const separator = plain ? '=' : '\0';
  const end = plain ? '\n' : '\0';
  let text = '';
  for (const [name, value] of list) {
    if (value instanceof Map) text += formatHash(value, separator, end);
    else text += name + separator + formatValue(value as string, end) + end;
  }
  return options.more === true ? text : text + end;
}

function formatValue(value: string | number | bigint | Buffer, end: string): string {
  if (typeof value === 'string') return value.includes(end) ? value.replaceAll(end, '?') : value;
  if (typeof value === 'number') return String(value < 0 ? value + TWO_TO_32 : value);
  if (typeof value === 'bigint') return String(BigInt.asUintN(64, value));
  return value.toString('base64');
}

function formatHash(map: ReadonlyMap<string, string>, separator: string, end: string): string {
  let text = `{${end}`;
  for (const [name, value] of map) text += name + separator + formatValue(value, end) + end;
  return `${text}}${end}`;
}
