/**
 * The argument of MAIL FROM and RCPT TO: one path, then ESMTP parameters. RFC 5321 4.1.2, read as
 * liberally as Postfix does unless `strict`. Pure; malformed text is an answer, not an exception.
 */
import { addressTokens, internalText, parse, type Token } from './token.ts';

export interface Path {
  /** Internal form; '' is the null path. */
  readonly address: string;
  /** As the client wrote it, without the brackets around it. */
  readonly external: string;
  /** What follows: parameters. */
  readonly rest: string;
}

export interface PathError {
  readonly error: 'syntax';
  /** As the client wrote it. */
  readonly text: string;
  readonly rest: string;
}

export interface PathRules {
  /** strict_rfc821_envelopes: brackets are required, and nothing but an address between them. */
  readonly strict?: boolean;
  /** The null path `<>` is allowed; MAIL FROM. */
  readonly allowNull?: boolean;
}

export function parsePath(text: string, rules: PathRules = {}): Path | PathError {
  const start = text.length - text.trimStart().length;
  const end = pathEnd(text, start);
  const path = text.slice(start, end);
  const rest = text.slice(end).trim();
  const failure: PathError = { error: 'syntax', text: path, rest };
  if (path === '') return failure;
  if (path === '<>') return rules.allowNull ? { address: '', external: '', rest } : failure;
  const tree = parse(path);
  const addresses = addressTokens(tree);
  if (addresses.length > 1) return failure;
  if (rules.strict && (!path.startsWith('<') || hasOtherWords(tree))) return failure;
  const address = internalText(addresses[0]?.head);
  if (address === '' && !rules.allowNull) return failure;
  if (rules.strict && address.startsWith('@')) return failure;
  return { address, external: withoutBrackets(path), rest };
}

function hasOtherWords(tree: Token | undefined): boolean {
  for (let word = tree; word !== undefined; word = word.next) {
    if (word.kind !== 'address' && word.kind !== '<' && word.kind !== '>') return true;
  }
  return false;
}

function withoutBrackets(path: string): string {
  return path.startsWith('<') && path.endsWith('>') ? path.slice(1, -1) : path;
}

const CLOSES: Readonly<Record<string, string>> = { '<': '>', '"': '"', '[': ']', '(': ')' };

/** Where the first word ends: at white space that is not inside <>, "", [] or (). */
function pathEnd(text: string, start: number): number {
  const open: string[] = [];
  let at = start;
  for (; at < text.length; at += 1) {
    const character = text.charAt(at);
    const wanted = open.at(-1);
    if (character === '\\') {
      at += 1;
    } else if (character === wanted) {
      open.pop();
    } else if (wanted !== '"') {
      const close = CLOSES[character];
      if (close !== undefined) open.push(close);
      else if (wanted === undefined && /\s/.test(character)) break;
    }
  }
  return Math.min(at, text.length);
}
