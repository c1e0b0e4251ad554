/** The right-hand side of an alias, and a line of a .forward or :include: file. Pure. */
import { addressTokens, externalText, internalText, parse } from '../../lib/address/token.ts';

/** Where an alias or a user sends mail. */
export type Destination =
  /** As it was written, quotes and all: `"odd user"@example.com`. */
  | { readonly kind: 'address'; readonly external: string; readonly internal: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'command'; readonly command: string }
  | { readonly kind: 'include'; readonly path: string };

const INCLUDE = ':include:';
/** A colon means a group to RFC 822; this one is spelled so that it does not. */
const INCLUDE_AT_START = /(^|,)(\s*):include:([^",\s]*)/gi;

/** Parses destinations separated by commas; comments and names of persons are left out. */
export function parseDestinations(text: string): Destination[] {
  const quoted = text.includes(INCLUDE) || /:include:/i.test(text) ? quoteIncludes(text) : text;
  return addressTokens(parse(quoted)).map((address) =>
    destinationOf(internalText(address.head), externalText(address.head)),
  );
}

function quoteIncludes(text: string): string {
  return text.replace(INCLUDE_AT_START, (_, comma: string, blank: string, path: string) => {
    return `${comma}${blank}"${INCLUDE}${path}"`;
  });
}

function destinationOf(internal: string, external: string): Destination {
  if (internal.startsWith('/')) return { kind: 'file', path: internal };
  if (internal.startsWith('|')) return { kind: 'command', command: internal.slice(1).trimStart() };
  if (internal.slice(0, INCLUDE.length).toLowerCase() === INCLUDE) {
    return { kind: 'include', path: internal.slice(INCLUDE.length) };
  }
  return { kind: 'address', external, internal };
}

/** Longer logical lines are taken in pieces, as any input of the mail system. */
export interface ListLimits {
  readonly lineBytes: number;
}

/**
 * Parses a .forward or :include: file: one list of destinations a line, `#` begins a comment line,
 * white space at the start of a line continues the one before.
 */
export function* parseDestinationFile(text: string, limits: ListLimits): Generator<Destination> {
  let logical = '';
  for (const line of text.split('\n')) {
    if (/^\s*(#|$)/.test(line)) continue;
    if (/^\s/.test(line) && logical !== '') {
      logical += line;
      continue;
    }
    yield* parseBounded(logical, limits);
    logical = line;
  }
  yield* parseBounded(logical, limits);
}

function* parseBounded(line: string, { lineBytes }: ListLimits): Generator<Destination> {
  for (let at = 0; at < line.length; at += lineBytes) {
    yield* parseDestinations(line.slice(at, at + lineBytes));
  }
}
