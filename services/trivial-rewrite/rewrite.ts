/** Rewriting an address to standard form: a pure function of the settings and the address. */
import {
  externalOf,
  indexOfKind,
  isNull,
  lastIndexOfKind,
  nullWords,
  operator,
  type Words,
  withoutFinalDot,
  wordsOf,
} from './words.ts';

/** The settings of one rewriting context; `local` and `remote` differ in origin and domain. */
export interface RewriteRules {
  /** What completes `user`: myorigin, or remote_header_rewrite_domain; empty: nothing does. */
  readonly origin: string;
  /** What completes `user@host`: mydomain, or remote_header_rewrite_domain. */
  readonly domain: string;
  readonly swapBangpath: boolean;
  readonly percentHack: boolean;
  readonly appendAtOrigin: boolean;
  readonly appendDotDomain: boolean;
}

/** What was done, by the parameter (or rule) that did it. */
export type RewriteStep =
  | 'source route'
  | 'swap_bangpath'
  | 'allow_percent_hack'
  | 'append_at_myorigin'
  | 'append_dot_mydomain'
  | 'final dot';

export interface Rewritten {
  /** External form, as it came. */
  readonly address: string;
  readonly trail: readonly RewriteStep[];
}

/** Nearly all addresses: no rule but append_dot_mydomain could change them. */
const COMPLETE = /^[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+$/;
const UNCHANGED: readonly RewriteStep[] = [];

/** Rewrites an external address. */
export function rewriteAddress(address: string, rules: RewriteRules): Rewritten {
  if (address === '' || COMPLETE.test(address)) return { address, trail: UNCHANGED };
  const trail: RewriteStep[] = [];
  const words = rewriteWords(wordsOf(address), rules, trail);
  return { address: externalOf(words), trail };
}

/** Rewrites the words of an address. */
export function rewriteWords(address: Words, rules: RewriteRules, trail: RewriteStep[]): Words {
  if (address.length === 0 || isNull(address)) return address;
  if (address.length === 1 && address[0]?.kind === '@') return nullWords();
  let words = withoutRoute(address, trail);
  if (lastIndexOfKind(words, '@') < 0) words = withDomain(words, rules, trail);
  words = withFullDomain(words, rules, trail);
  const undotted = withoutFinalDot(words);
  if (undotted !== words) trail.push('final dot');
  return undotted;
}

/** `@a,@b:user@domain` goes to domain; the way there is nobody's business any more. */
function withoutRoute(words: Words, trail: RewriteStep[]): Words {
  if (words[0]?.kind !== '@') return words;
  const colon = indexOfKind(words, ':');
  if (colon < 0 || colon === words.length - 1) return words;
  trail.push('source route');
  return words.slice(colon + 1);
}

function withDomain(words: Words, rules: RewriteRules, trail: RewriteStep[]): Words {
  const bang = rules.swapBangpath ? indexOfKind(words, '!') : -1;
  if (bang >= 0) {
    trail.push('swap_bangpath');
    return [...words.slice(bang + 1), operator('@'), ...words.slice(0, bang)];
  }
  const percent = rules.percentHack ? lastIndexOfKind(words, '%') : -1;
  if (percent >= 0) {
    trail.push('allow_percent_hack');
    return words.with(percent, operator('@'));
  }
  if (!rules.appendAtOrigin || rules.origin === '') return words;
  trail.push('append_at_myorigin');
  return [...words, operator('@'), ...wordsOf(rules.origin)];
}

function withFullDomain(words: Words, rules: RewriteRules, trail: RewriteStep[]): Words {
  if (!rules.appendDotDomain || rules.domain === '') return words;
  const at = lastIndexOfKind(words, '@');
  if (at < 0 || at === words.length - 1) return words;
  const complete = words.slice(at).some(({ kind }) => kind === 'literal' || kind === '.');
  if (complete) return words;
  trail.push('append_dot_mydomain');
  return [...words, operator('.'), ...wordsOf(rules.domain)];
}
