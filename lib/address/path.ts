/**
 * The path of MAIL FROM and RCPT TO. RFC 5321 4.1.2, read as liberally as Postfix does unless
 * `strict`: brackets may be missing, comments and phrases are skipped. Pure; malformed text is an
 * answer, not an exception.
 */
import { addressTokens, internalText, parse, type Token } from './token.ts';

export interface Path {
  /** Internal form, without a source route; '' is the null path. */
  readonly address: string;
  /** As the client wrote it, without the brackets around it. */
  readonly external: string;
}

export interface PathRules {
  /** strict_rfc821_envelopes: brackets are required, and nothing but an address between them. */
  readonly strict?: boolean;
  /** The null path `<>` is allowed; MAIL FROM. */
  readonly allowNull?: boolean;
}

/**
 * Reads one path.
 *
 * @param text a whole word of the command: `<ann@example.com>`
 * @returns `undefined` when it is none
 */
export function parsePath(text: string, rules: PathRules = {}): Path | undefined {
  const hasBrackets = text.startsWith('<') && text.endsWith('>');
  const external = hasBrackets ? text.slice(1, -1) : text;
  if (external === '')
    return hasBrackets && rules.allowNull ? { address: '', external } : undefined;
  const tree = parse(withoutRoute(external));
  const addresses = addressTokens(tree);
  if (addresses.length > 1) return undefined;
  if (rules.strict && (!hasBrackets || hasOtherWords(tree))) return undefined;
  const address = internalText(addresses[0]?.head);
  if (address === '' && !rules.allowNull) return undefined;
  return { address, external };
}

function hasOtherWords(tree: Token | undefined): boolean {
  for (let word = tree; word !== undefined; word = word.next) {
    if (word.kind !== 'address' && word.kind !== '<' && word.kind !== '>') return true;
  }
  return false;
}

/** RFC 5321 appendix C: a source route is accepted, and ignored. */
function withoutRoute(path: string): string {
  return path.startsWith('@') ? path.slice(path.indexOf(':') + 1) : path;
}
