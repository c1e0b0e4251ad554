/**
 * Who a recipient address really means: routing characters are followed as long as they lead back
 * to this machine. Addresses here are in internal form.
 */
import { quote } from '../../lib/address/address.ts';
import { type RewriteRules, rewriteWords } from './rewrite.ts';
import {
  internalOf,
  isNull,
  lastIndexOfKind,
  operator,
  type Words,
  withoutFinalDot,
  wordsOf,
} from './words.ts';

export interface RecipientRules extends RewriteRules {
  readonly myhostname: string;
  /** empty_address_recipient */
  readonly nullRecipient: string;
  readonly resolveNullDomain: boolean;
  readonly resolveDequoted: boolean;
  /** What makes a domain this machine's; undefined for others. @throws in trouble */
  readonly ownDomain: (domain: string) => Promise<string | undefined>;
}

export interface Recipient {
  /** Internal form, always with a domain. */
  readonly address: string;
  /** What made the domain ours; undefined: it is elsewhere. */
  readonly own: string | undefined;
}

/** Nearly all addresses: one `@`, and nothing that could mean another way. */
const PLAIN = /^[A-Za-z0-9_+=-]+(?:\.[A-Za-z0-9_+=-]+)*@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$/;
/** Each round takes a word away, or turns one into `@`; more than this is a loop of our own making. */
const ROUNDS_BEYOND_LENGTH = 100;

/** @returns undefined when it could not be found out in a reasonable number of steps */
export async function findRecipient(
  address: string,
  rules: RecipientRules,
): Promise<Recipient | undefined> {
  if (PLAIN.test(address)) {
    return { address, own: await rules.ownDomain(address.slice(address.indexOf('@') + 1)) };
  }
  let words = wordsOf(quote(address));
  let saved: Words | undefined;
  let own: string | undefined;
  for (let round = 0; round < address.length + ROUNDS_BEYOND_LENGTH; round += 1) {
    words = trimmed(words, rules);
    const at = lastIndexOfKind(words, '@');
    if (at >= 0) {
      const domain = words.slice(at + 1);
      if (domain.length > 0) {
        const found = await rules.ownDomain(internalOf(domain));
        if (found === undefined) return { address: internalOf(words), own: undefined };
        own = found;
      } else own = 'resolve_null_domain';
      saved = words.slice(at);
      words = words.slice(0, at);
    }
    const next = followed(words, rules);
    if (next !== undefined) {
      words = next;
      continue;
    }
    if (words.length === 0 || isNull(words)) {
      words = wordsOf(rules.nullRecipient);
      continue;
    }
    if (saved !== undefined) return { address: internalOf([...words, ...saved]), own };
    const host = [operator('@'), ...wordsOf(rules.myhostname)];
    return {
      address: internalOf([...words, ...host]),
      own: await rules.ownDomain(rules.myhostname),
    };
  }
  return undefined;
}

function trimmed(words: Words, rules: RecipientRules): Words {
  const undotted = lastIndexOfKind(words, '@') >= 0 ? withoutFinalDot(words) : words;
  const dangling = rules.resolveNullDomain && undotted.at(-1)?.kind === '@';
  return dangling ? undotted.slice(0, -1) : undotted;
}

/** The address that routing characters of a local part lead to; undefined when there are none. */
function followed(words: Words, rules: RecipientRules): Words | undefined {
  if (leadsOn(words, rules)) return rewriteWords(words, rules, []);
  const [word] = words;
  if (!rules.resolveDequoted || words.length !== 1 || word?.kind !== 'quoted') return undefined;
  // Quoted, such characters should mean nothing; but other mailers look inside, so we must.
  const opened = openQuotes(word.text, rules);
  return opened === undefined ? undefined : rewriteWords(wordsOf(opened), rules, []);
}

function leadsOn(words: Words, rules: RewriteRules): boolean {
  return words.some(
    ({ kind }) =>
      kind === '@' || (kind === '!' && rules.swapBangpath) || (kind === '%' && rules.percentHack),
  );
}

function openQuotes(local: string, rules: RewriteRules): string | undefined {
  const at = local.lastIndexOf('@');
  if (at >= 0) return quote(local);
  const percent = rules.percentHack ? local.lastIndexOf('%') : -1;
  if (percent >= 0) return quote(`${local.slice(0, percent)}@${local.slice(percent + 1)}`);
  return rules.swapBangpath && local.includes('!') ? local : undefined;
}
