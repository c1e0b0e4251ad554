/** How the value of an attribute travels. ipc.md 2.1. */
export type FieldKind = 'int' | 'long' | 'str' | 'data' | 'hash';

/** Brings the type of the value along; there is nothing here at run time. */
declare const valueType: unique symbol;

/** One attribute that a receiver wants. */
export interface Field<T> {
  readonly kind: FieldKind;
  /** The names it may have on the wire; the key in the shape when empty. */
  readonly names: readonly string[];
  readonly optional: boolean;
  /** The same with a name, or several that different versions use: `int.named('flags')`. */
  named(...names: string[]): Field<T>;
  /** The same, but it may be missing: then its value is `undefined`. */
  orMissing(): Field<T | undefined>;
  readonly [valueType]?: T;
}

/** What a receiver wants, in the order of the wire. */
export type Shape = { readonly [key: string]: Field<unknown> };

/** The values that a shape yields. */
export type Values<S extends Shape> = {
  readonly [K in keyof S]: S[K] extends Field<infer T> ? T : never;
};

/** 32 bits, signed for us: 4294967295 on the wire is -1. */
export const int: Field<number> = field('int', [], false);
/** 64 bits, signed for us; a number that JavaScript can't hold is malformed. */
export const long: Field<number> = field('long', [], false);
export const str: Field<string> = field('str', [], false);
/** Bytes, base64 on the wire. */
export const data: Field<Buffer> = field('data', [], false);
/** Unordered names and values inside braces. */
export const hash: Field<ReadonlyMap<string, string>> = field('hash', [], false);

function field<T>(kind: FieldKind, names: readonly string[], optional: boolean): Field<T> {
  return {
    kind,
    names,
    optional,
    named: (...wanted) => field(kind, wanted, optional),
    orMissing: () => field(kind, names, true),
  };
}
