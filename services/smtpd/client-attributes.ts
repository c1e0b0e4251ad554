/**
 * `NAME=client.example ADDR=192.0.2.1`: what XCLIENT and XFORWARD tell of a client. Pure: words in,
 * values or a reply out. Postfix's XCLIENT_README and XFORWARD_README.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { type Family, maskAddress } from '../../lib/config/networks.ts';
import { isHostname } from '../../lib/dns/domain.ts';
import { decodeXtext } from '../../lib/dsn/xtext.ts';
import { UNKNOWN } from './client-name.ts';
import { sanitizeName } from './hostname.ts';

export type ClientCommand = 'XCLIENT' | 'XFORWARD';

/** In the order of EHLO's reply. */
export const ATTRIBUTES = {
  XCLIENT: [
    'NAME',
    'ADDR',
    'PROTO',
    'HELO',
    'REVERSE_NAME',
    'PORT',
    'LOGIN',
    'DESTADDR',
    'DESTPORT',
  ],
  XFORWARD: ['NAME', 'ADDR', 'PROTO', 'HELO', 'SOURCE', 'PORT', 'IDENT'],
} as const satisfies Record<ClientCommand, readonly string[]>;

/** What was told; what is not available is `unknown`, as it is in queue files and logs. */
export type ClientAttributes = {
  readonly [Name in (typeof ATTRIBUTES)[ClientCommand][number]]?: string;
} & {
  /** What could only not be found out now. */
  readonly again: readonly string[];
};

const VALUE_MAX = 255;
/** Of XFORWARD's PROTO. */
const PROTOCOL_MAX = 64;
const PORT_DIGITS_MAX = 5;

/**
 * Reads all attributes of a command. One that is wrong spoils them all.
 *
 * @param families addresses of others are not taken
 */
export function parseClientAttributes(
  command: ClientCommand,
  words: readonly string[],
  families: readonly Family[],
): ClientAttributes | { readonly refusal: string } {
  const found: Record<string, string> = {};
  const again: string[] = [];
  for (const word of words) {
    const at = word.indexOf('=');
    const given = word.slice(at + 1);
    if (at < 0 || given === '') return { refusal: '501 5.5.4 Error: attribute=value expected' };
    if (given.length > VALUE_MAX) return { refusal: '501 5.5.4 Error: attribute value too long' };
    const name = word.slice(0, at).toUpperCase();
    if (!ATTRIBUTES[command].some((known) => known === name)) {
      const shown = printable(word.slice(0, at));
      return { refusal: `501 5.5.4 Bad ${command} attribute name: ${shown}` };
    }
    const text = decode(given);
    const isPlain = command === 'XCLIENT' && name !== 'HELO';
    const shown = isPlain ? printable(text) : sanitizeName(text);
    const value = read(command, name, shown, families);
    if (value === undefined) return { refusal: `501 5.5.4 Bad ${name} syntax: ${shown}` };
    found[name] = value;
    if (isTemporary(shown)) again.push(name);
  }
  return { ...found, again };
}

/** Before Postfix 2.3 values were not encoded. */
function decode(given: string): string {
  const text = decodeXtext(given) ?? given;
  const nul = text.indexOf('\0');
  return nul === -1 ? text : text.slice(0, nul);
}

/** @returns `undefined` when the value is wrong */
function read(
  command: ClientCommand,
  name: string,
  text: string,
  families: readonly Family[],
): string | undefined {
  const isAbsent = /^\[unavailable\]$/i.test(text);
  switch (name) {
    case 'NAME':
    case 'REVERSE_NAME':
      if (isAbsent || (command === 'XCLIENT' && isTemporary(text))) return UNKNOWN;
      return isHostname(text) && !text.endsWith('.') ? text : undefined;
    case 'ADDR':
    case 'DESTADDR':
      return isAbsent ? UNKNOWN : readAddress(text, families);
    case 'PORT':
    case 'DESTPORT':
      if (isAbsent) return UNKNOWN;
      return /^\d+$/.test(text) && text.length <= PORT_DIGITS_MAX ? text : undefined;
    case 'PROTO':
      if (command === 'XCLIENT') return /^E?SMTP$/i.test(text) ? text.toUpperCase() : undefined;
      if (isAbsent) return UNKNOWN;
      return text.length <= PROTOCOL_MAX ? text : undefined;
    case 'SOURCE':
      if (isAbsent) return UNKNOWN;
      return /^(?:local|remote)$/i.test(text) ? text.toLowerCase() : undefined;
    default:
      return isAbsent ? UNKNOWN : text;
  }
}

function isTemporary(text: string): boolean {
  return /^\[tempunavail\]$/i.test(text);
}

/** `192.0.2.1`, `IPv6:2001:db8::1`. */
function readAddress(text: string, families: readonly Family[]): string | undefined {
  if (isIPv4(text)) return families.includes(4) ? text : undefined;
  const address = /^ipv6:(?<address>[^%]*)$/i.exec(text)?.groups?.address ?? '';
  if (!isIPv6(address)) return undefined;
  const v4 = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (v4 !== undefined) return readAddress(v4, families);
  if (!families.includes(6)) return undefined;
  return maskAddress(address, 6, 128);
}

function printable(text: string): string {
  return text.replace(/[^\x20-\x7e\u00a0-\uffff]/g, '?');
}
