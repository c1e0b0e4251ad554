/**
 * Address lists of headers: find the addresses, rewrite them, leave names and comments as they
 * are. Pure but for the function that is handed in.
 */
import {
  addressTokens,
  externalText,
  internalText,
  parse,
  replaceAddress,
  type StripNote,
} from './token.ts';

/** Takes and returns an external (quoted) address. */
export type AddressRewrite = (external: string) => string | Promise<string>;

export interface ListOptions {
  /** header_address_token_limit: words looked at; the rest of the text is dropped when rewritten. */
  readonly tokenLimit?: number;
  /** Told about a list whose comments were too long to keep. */
  readonly onStrip?: StripNote;
}

/** All addresses in a list, in internal form, left to right. */
export function addressesIn(list: string, tokenLimit?: number): string[] {
  return addressTokens(parse(list, tokenLimit)).map((address) => internalText(address.head));
}

/** All addresses in a list, in external form, left to right. */
export function externalAddressesIn(list: string, tokenLimit?: number): string[] {
  return addressTokens(parse(list, tokenLimit)).map((address) => externalText(address.head));
}

/**
 * Rewrites each address of a list. When none changes the very same text comes back; else the list
 * with one address on each line (`a,\nb`), ready for foldAddressLines.
 */
export async function rewriteAddressLines(
  list: string,
  rewrite: AddressRewrite,
  options: ListOptions = {},
): Promise<string> {
  const tree = parse(list, options.tokenLimit);
  let changed = false;
  for (const address of addressTokens(tree)) {
    const before = externalText(address.head);
    const answer = rewrite(before);
    const after = typeof answer === 'string' ? answer : await answer;
    if (after === before) continue;
    replaceAddress(address, after);
    changed = true;
  }
  return changed ? externalText(tree, '\n', options.onStrip ?? (() => {})) : list;
}

/** Like rewriteAddressLines, all on one line. */
export async function rewriteAddressList(
  list: string,
  rewrite: AddressRewrite,
  options?: ListOptions,
): Promise<string> {
  const lines = await rewriteAddressLines(list, rewrite, options);
  return lines === list ? list : lines.replaceAll('\n', ' ');
}

/** A line takes addresses up to this column. */
const FOLD_COLUMN = 70;

/**
 * Puts as many addresses on a line as fit. `header` is `Name: a,\nb,\nc`; continuation lines of
 * the result start with a tab.
 */
export function foldAddressLines(header: string): string {
  const [first = '', ...others] = header.split('\n');
  let result = first;
  let column = first.length;
  for (const line of others) {
    if (column + 1 + line.length < FOLD_COLUMN) {
      result += ` ${line}`;
      column += 1 + line.length;
    } else {
      result += line.startsWith(' ') || line.startsWith('\t') ? `\n${line}` : `\n\t${line}`;
      column = line.length;
    }
  }
  return result;
}

/** Rewrites the addresses of one whole header, `Name: list`; unchanged text comes back as it was. */
export async function rewriteHeader(
  header: string,
  rewrite: AddressRewrite,
  options?: ListOptions,
): Promise<string> {
  const colon = header.indexOf(':');
  const list = header.slice(colon + 1);
  const lines = await rewriteAddressLines(list, rewrite, options);
  if (lines === list) return header;
  return foldAddressLines(`${header.slice(0, colon).trimEnd()}: ${lines}`);
}
