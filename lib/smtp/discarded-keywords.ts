import { splitList } from '../config/list.ts';

/** The words of smtpd_discard_ehlo_keywords and its like, in the order of Postfix's log line. */
const DISCARDABLE = [
  '8bitmime',
  'pipelining',
  'size',
  'vrfy',
  'etrn',
  'auth',
  'verp',
  'starttls',
  'xclient',
  'xforward',
  'enhancedstatuscodes',
  'dsn',
  'smtputf8',
  'chunking',
  'silent-discard',
];

/**
 * Reads a list of what EHLO keeps quiet about.
 *
 * @param warn is told of words that are none
 * @returns the words in lower case, in the order of the log line
 */
export function parseDiscardedKeywords(
  text: string,
  warn: (text: string) => void = () => {},
): ReadonlySet<string> {
  const words = splitList(text.toLowerCase());
  for (const word of words) {
    if (!DISCARDABLE.includes(word)) warn(`unknown EHLO keyword "${word}"`);
  }
  return new Set(DISCARDABLE.filter((word) => words.includes(word)));
}
