/**
 * What a parameter's value may be. Each constructor declares one parameter: its default as main.cf
 * would spell it, and the bounds Postfix puts on it.
 */

/** `raw` is text that is expanded when it is used, with other names: `$home`, `$recipient`. */
export type Kind =
  | 'text'
  | 'raw'
  | 'list'
  | 'maps'
  | 'restrictions'
  | 'bool'
  | 'int'
  | 'code'
  | 'size'
  | 'seconds';

/** Smallest and largest value, or, of a text, its length. A maximum of 0 is none. */
export interface Bounds {
  readonly min?: number;
  readonly max?: number;
  /** A text is one of these, in small letters or capitals. */
  readonly words?: readonly string[];
}

export interface Parameter<Value = string | number | boolean> {
  readonly kind: Kind;
  /** The default, unexpanded. */
  readonly fallback: string;
  readonly bounds: Bounds;
  /** Never there: it carries the type. */
  readonly value?: Value;
}

const UNBOUNDED: Bounds = {};

/** Text; `$name` in it is expanded. */
export const text = declare<string>('text');
/** Text that is handed over unexpanded. */
export const raw = declare<string>('raw');
/** Items separated by commas and white space. */
export const list = declare<string>('list');
/** Lookup tables: `hash:/etc/aliases, static:x`. */
export const maps = declare<string>('maps');
/** A restriction list of smtpd. */
export const restrictions = declare<string>('restrictions');
export const bool = declare<boolean>('bool');
export const int = declare<number>('int');
/** An SMTP reply code. */
export const code = declare<number>('code');
/** Bytes. */
export const size = declare<number>('size');
/** A time; its value is in seconds, its default's unit is the default unit. */
export const seconds = declare<number>('seconds');

function declare<Value>(kind: Kind) {
  return (fallback: string, bounds: Bounds = UNBOUNDED): Parameter<Value> => ({
    kind,
    fallback,
    bounds,
  });
}
