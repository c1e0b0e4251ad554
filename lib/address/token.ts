/**
 * The words of RFC 822 address text, and the tree made of them: what Postfix calls tok822.
 *
 * Nothing that is not understood is thrown away: a tree can always be written back. Text is
 * taken one character at a time; characters above 127 are ordinary, so both byte strings and
 * Unicode strings work. Parsing never fails, it only finds no address.
 */

/** Kinds of words; operators are their own character, '' marks the ends of a list. */
export type TokenKind = 'atom' | 'quoted' | 'literal' | 'comment' | 'address' | 'group' | string;

/** One word, linked to its neighbours. An `address` has its words in `head`. */
export interface Token {
  kind: TokenKind;
  text: string;
  previous: Token | undefined;
  next: Token | undefined;
  head: Token | undefined;
  /** Inside an address: written without spaces around it. */
  inner: boolean;
}

/** RFC 822 specials, with `%` and `!` because not all the world writes RFC 822. */
const OPERATORS = '|%!()<>@,;:\\".[]';
const OPERATOR = new Uint8Array(128);
for (const operator of OPERATORS) OPERATOR[operator.charCodeAt(0)] = 1;

const isOperator = (code: number): boolean => code < 128 && OPERATOR[code] === 1;
const isBlank = (code: number): boolean =>
  code === 0x20 || code === 0x09 || code === 0x0a || code === 0x0d;
/** isspace(3). */
const isSpace = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d);

function token(kind: TokenKind, text = ''): Token {
  return { kind, text, previous: undefined, next: undefined, head: undefined, inner: false };
}

/** Splits address text into words; at most `limit` of them, the rest of the text is not looked at. */
export function scan(text: string, limit: number = Number.MAX_SAFE_INTEGER): Token | undefined {
  let first: Token | undefined;
  let last: Token | undefined;
  let count = 0;
  for (let at = 0; at < text.length && count < limit; ) {
    const code = text.charCodeAt(at);
    if (isBlank(code)) {
      at += 1;
      continue;
    }
    const [word, next] = scanWord(text, at, code);
    at = next;
    word.previous = last;
    if (last === undefined) first = word;
    else last.next = word;
    last = word;
    count += 1;
  }
  return first;
}

function scanWord(text: string, at: number, code: number): [Token, number] {
  if (code === 0x28) return scanComment(text, at);
  if (code === 0x5b) return collect('literal', text, at + 1, 0x5d);
  if (code === 0x22) return collect('quoted', text, at + 1, 0x22);
  if (code !== 0x5c && isOperator(code)) return [token(text.charAt(at)), at + 1];
  return scanAtom(text, at);
}

/** Text up to `close`; a backslash takes the next character as it is. */
function collect(kind: TokenKind, text: string, start: number, close: number): [Token, number] {
  let value = '';
  let at = start;
  for (; at < text.length; at += 1) {
    let code = text.charCodeAt(at);
    if (code === 0x5c) {
      at += 1;
      if (at === text.length) break;
      code = text.charCodeAt(at);
    } else if (code === close) {
      break;
    }
    value += isBlank(code) ? ' ' : text.charAt(at);
  }
  return [token(kind, value), Math.min(at + 1, text.length)];
}

function scanAtom(text: string, start: number): [Token, number] {
  let end = start;
  let code = text.charCodeAt(end);
  while (end < text.length && !isSpace(code) && !isOperator(code)) {
    end += 1;
    code = text.charCodeAt(end);
  }
  if (code !== 0x5c) return [atom(text.slice(start, end)), end];
  let value = '';
  let at = start;
  for (; at < text.length; at += 1) {
    code = text.charCodeAt(at);
    if (code === 0x5c) {
      at += 1;
      if (at === text.length) break;
      code = text.charCodeAt(at);
    } else if (isSpace(code) || isOperator(code)) {
      break;
    }
    value += isBlank(code) ? ' ' : text.charAt(at);
  }
  return [atom(value), Math.min(at, text.length)];
}

/** What a backslash brought into an atom needs quotes when it is written. */
function atom(text: string): Token {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code <= 0x20 || code === 0x7f || isOperator(code)) return token('quoted', text);
  }
  return token('atom', text);
}

/** Comments nest, and are kept as they were written. */
function scanComment(text: string, start: number): [Token, number] {
  let depth = 0;
  let at = start;
  for (; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at += 1;
    else if (code === 0x28) depth += 1;
    else if (code === 0x29) {
      depth -= 1;
      if (depth === 0) break;
    }
  }
  const end = Math.min(at + 1, text.length);
  return [token('comment', text.slice(start, end)), end];
}

/**
 * Finds the addresses of a list: each becomes an `address` token that holds its words. Works from
 * right to left, as the grammar is easier that way; comments move behind the address they are in,
 * and a comma that is missing between two addresses is put in.
 */
export function parse(text: string, limit: number = Number.MAX_SAFE_INTEGER): Token | undefined {
  const first = scan(text, limit);
  if (first === undefined) return undefined;
  const head = token('');
  const tail = token('');
  link(head, first);
  let last = first;
  while (last.next !== undefined) last = last.next;
  link(last, tail);
  buildTree(tail);
  const result = head.next === tail ? undefined : head.next;
  if (result !== undefined) result.previous = undefined;
  if (tail.previous !== undefined) tail.previous.next = undefined;
  return result;
}

function buildTree(tail: Token): void {
  // The address being looked for lies between `at` and `right`.
  let right = tail;
  let at = tail.previous as Token;
  let expectWord = true;
  let inGroup = false;
  while (at.kind !== '') {
    switch (at.kind) {
      case 'comment':
        [at, right] = moveComment(at, right);
        continue;
      case ';':
        right = group(at, right, true);
        inGroup = true;
        expectWord = true;
        break;
      case '>':
        right = group(at, right, true);
        while (at.kind !== '' && at.kind !== '<') {
          if (at.kind === 'comment') [at, right] = moveComment(at, right);
          else at = at.previous as Token;
        }
        group(at, right, false);
        while (at.kind !== '' && !'>;,:'.includes(at.kind)) at = at.previous as Token;
        right = at;
        expectWord = true;
        continue;
      case ':':
        if (!inGroup) {
          expectWord = true;
          break;
        }
        at.kind = 'group';
        group(at, right, false);
        while (at.kind !== '' && at.kind !== ',') at = at.previous as Token;
        right = at;
        continue;
      case 'atom':
      case 'quoted':
      case 'literal':
        if (!expectWord) right = group(at, right, true).next as Token;
        expectWord = false;
        break;
      case ',':
        right = group(at, right, false);
        expectWord = true;
        break;
      default:
        expectWord = true;
    }
    at = at.previous as Token;
  }
  group(at, right, false);
}

/** Takes the words between `left` and `right` together as one address. Returns `left`. */
function group(left: Token, right: Token, addComma: boolean): Token {
  const first = left.next;
  if (left === right || first === undefined || first === right) return left;
  const address = token('address');
  address.head = first;
  first.previous = undefined;
  (right.previous as Token).next = undefined;
  for (let word: Token | undefined = first; word !== undefined; word = word.next) word.inner = true;
  link(address, right);
  if (addComma) {
    const comma = token(',');
    link(left, comma);
    link(comma, address);
  } else {
    link(left, address);
  }
  return left;
}

function moveComment(comment: Token, right: Token): [Token, Token] {
  const previous = comment.previous as Token;
  if (comment.next !== right) {
    const before = right.previous as Token;
    link(previous, comment.next as Token);
    link(before, comment);
    link(comment, right);
  }
  return [previous, comment];
}

function link(left: Token, right: Token): void {
  left.next = right;
  right.previous = left;
}

/** Replaces the words of an address by those of another text. */
export function replaceAddress(address: Token, external: string): void {
  address.head = scan(external);
  for (let word = address.head; word !== undefined; word = word.next) word.inner = true;
}

/** All addresses of a tree, left to right. */
export function addressTokens(tree: Token | undefined): Token[] {
  const found: Token[] = [];
  for (let word = tree; word !== undefined; word = word.next) {
    if (word.kind === 'address') found.push(word);
  }
  return found;
}

/** The text without quotes and backslashes: how addresses are kept in the queue. */
export function internalText(tree: Token | undefined): string {
  let text = '';
  for (let word = tree; word !== undefined; word = word.next) {
    if (word.kind === 'address') text += internalText(word.head);
    else if (word.kind === 'literal') text += `[${word.text}]`;
    else text += plainText(word);
    if (needsSpace(word)) text += ' ';
  }
  return text;
}

/** Longest comment or phrase text with one address: an old sendmail overran its buffer at 256. */
const NON_ADDRESS_LIMIT = 250;

/** The text with quotes where they are needed; commas are followed by `separator`. */
export function externalText(
  tree: Token | undefined,
  separator = ' ',
  onStrip?: StripNote,
): string {
  let text = '';
  let start = 0;
  let address: Token | undefined;
  let other = 0;
  for (let word = tree; word !== undefined; word = word.next) {
    if (word.kind === ',') {
      text = stripped(text, start, address, other, onStrip) + ',' + separator;
      start = text.length;
      address = undefined;
      other = 0;
      continue;
    }
    if (word.kind === 'address') {
      text += externalText(word.head);
      address = word.head;
    } else {
      const written = externalWord(word);
      text += written;
      if (onStrip !== undefined && word.text !== '') other += written.length;
    }
    if (needsSpace(word)) text += ' ';
  }
  return stripped(text, start, address, other, onStrip);
}

/** Told the text whose comments were dropped because there were too many. */
export type StripNote = (text: string) => void;

function stripped(
  text: string,
  start: number,
  address: Token | undefined,
  other: number,
  onStrip: StripNote | undefined,
): string {
  if (onStrip === undefined || other <= NON_ADDRESS_LIMIT) return text;
  onStrip(text.slice(start));
  return `${text.slice(0, start)}<${externalText(address)}>`;
}

function externalWord(word: Token): string {
  switch (word.kind) {
    case 'quoted':
      return `"${escaped(word.text, '"\\\r\n')}"`;
    case 'literal':
      return `[${escaped(word.text, '\\\r\n')}]`;
    default:
      return plainText(word);
  }
}

function plainText(word: Token): string {
  if (word.kind === 'atom' || word.kind === 'quoted' || word.kind === 'comment') return word.text;
  return word.kind === 'group' ? ':' : word.kind;
}

function escaped(text: string, special: string): string {
  let result = '';
  for (const character of text) {
    result += special.includes(character) ? `\\${character}` : character;
  }
  return result;
}

const isOperand = (word: Token): boolean =>
  word.kind === 'atom' ||
  word.kind === 'quoted' ||
  word.kind === 'comment' ||
  word.kind === 'literal' ||
  word.kind === 'address';

function needsSpace(word: Token): boolean {
  const next = word.next;
  if (next === undefined || word.inner) return false;
  if (word.kind === ',' || word.kind === 'group' || next.kind === '<') return true;
  return isOperand(word) && isOperand(next);
}
