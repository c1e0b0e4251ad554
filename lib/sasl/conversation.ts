/**
 * The server's side of a mechanism: it yields challenges, is given responses, and returns what it
 * thinks of the client. It does no I/O but what `Accounts` does.
 */
export type Conversation = AsyncGenerator<Buffer, Judgement, Buffer>;

export type Judgement =
  | { readonly kind: 'done'; readonly username: string }
  | { readonly kind: 'refused'; readonly why: Refusal; readonly username?: string };

/**
 * `credentials`: the name or the password is wrong. `identity`: the client may not act for the user
 * that it names. `malformed`: this is not how it is done.
 */
export type Refusal = 'credentials' | 'identity' | 'malformed';

export const MALFORMED: Judgement = { kind: 'refused', why: 'malformed' };

/** Nothing that can be put into an envelope, a log or another protocol has these. */
const CONTROL = /[\x00-\x1f\x7f]/;
/** Longer names and passwords are not of this world. */
const TEXT_MAX = 1024;

/** Text that a client sent; `undefined` when it is none. */
export function textOf(bytes: Buffer): string | undefined {
  if (bytes.length > TEXT_MAX) return undefined;
  const text = bytes.toString('utf8');
  // What is no UTF-8 comes out different.
  return Buffer.from(text, 'utf8').equals(bytes) && !text.includes('\0') ? text : undefined;
}

/** The name of a user; `undefined` when it can't be one. */
export function usernameOf(bytes: Buffer): string | undefined {
  const name = textOf(bytes);
  return name === undefined || name === '' || CONTROL.test(name) ? undefined : name;
}

/** @param actsAs whom the client wants to be taken for; nobody may act for somebody else */
export function judge(isRight: boolean, username: string, actsAs = username): Judgement {
  if (!isRight) return { kind: 'refused', why: 'credentials', username };
  if (actsAs !== username) return { kind: 'refused', why: 'identity', username: actsAs };
  return { kind: 'done', username };
}
