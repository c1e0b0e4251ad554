/** The command lines of one transaction. Pure. */
import { quote } from '../../lib/address/address.ts';
import type { Recipient } from '../../lib/delivery/recipient.ts';
import type { DeliveryRequest } from '../../lib/delivery/request.ts';
import { RET } from '../../lib/dsn/notify.ts';
import { encodeXtext } from '../../lib/dsn/xtext.ts';
import { formatNotify } from '../../lib/smtp/arguments.ts';
import type { Features } from './features.ts';

/** An address between `<` and `>`; line ends can't get in. */
function path(address: string, quoted: boolean): string {
  return (quoted ? quote(address) : address).replace(/[\r\n\0]/g, ' ');
}

export interface MailFacts {
  readonly sender: string;
  readonly quoted: boolean;
  readonly features: Features;
  /** The content will be converted: nobody knows its size. */
  readonly converted: boolean;
  readonly request: Pick<
    DeliveryRequest,
    'contentSize' | 'encoding' | 'envelopeId' | 'retFlags' | 'sendOptions'
  >;
}

/** SMTPUTF8 was asked for. */
export const SMTPUTF8_REQUESTED = 1;

export function formatMail(facts: MailFacts): string {
  const { sender, quoted, features, converted, request } = facts;
  let line = `MAIL FROM:<${path(sender, quoted)}>`;
  if (features.size && !converted) line += ` SIZE=${request.contentSize}`;
  if (features.eightBitMime) {
    if (request.encoding === '8bit') line += ' BODY=8BITMIME';
    else if (request.encoding === '7bit') line += ' BODY=7BIT';
  }
  if (features.dsn) {
    if (request.envelopeId !== '') line += ` ENVID=${encodeXtext(request.envelopeId)}`;
    if ((request.retFlags & RET.full) !== 0) line += ' RET=FULL';
    else if ((request.retFlags & RET.headers) !== 0) line += ' RET=HDRS';
  }
  if (features.smtputf8 && (request.sendOptions & SMTPUTF8_REQUESTED) !== 0) line += ' SMTPUTF8';
  return line;
}

export interface RcptFacts {
  readonly address: string;
  readonly recipient: Recipient;
  readonly quoted: boolean;
  readonly features: Features;
}

export function formatRcpt({ address, recipient, quoted, features }: RcptFacts): string {
  let line = `RCPT TO:<${path(address, quoted)}>`;
  if (features.dsn) {
    const original = originalRecipient(recipient);
    if (original !== '') line += ` ORCPT=${original}`;
    if (recipient.notify !== 0) line += ` NOTIFY=${formatNotify(recipient.notify)}`;
  }
  return line;
}

const NON_ASCII = /[^\x00-\x7f]/;

/** The ORCPT that came with the mail, or the address we knew the recipient by. */
function originalRecipient({ dsnOriginal, original }: Recipient): string {
  const given = dsnOriginal !== '' ? dsnOriginal : original === '' ? '' : defaultType(original);
  const at = given.indexOf(';');
  if (at < 0) return '';
  const type = given.slice(0, at);
  const text = given.slice(at + 1);
  const coded = type.toLowerCase() === 'utf-8' ? encodeUnitext(text) : encodeXtext(text);
  return `${type};${coded}`;
}

function defaultType(original: string): string {
  return `${NON_ASCII.test(original) ? 'utf-8' : 'rfc822'};${quote(original)}`;
}

/** RFC 6533: what is not printable ASCII, and `\`, `+`, `=`, as `\x{HEX}`. */
function encodeUnitext(text: string): string {
  return [...text]
    .map((char) => {
      const code = char.codePointAt(0) ?? 0;
      const plain = code > 0x20 && code !== 0x7f && !'\\+='.includes(char);
      return plain ? char : `\\x{${code.toString(16).toUpperCase().padStart(2, '0')}}`;
    })
    .join('');
}

/** What XFORWARD tells about the client that brought the message, in two commands. */
export function formatXforward(
  request: DeliveryRequest,
  taken: ReadonlySet<string>,
): { readonly nameAddress?: string; readonly protocolHelo?: string } {
  const attribute = (name: string, value: string) =>
    value !== '' && value !== 'unknown' && taken.has(name) ? ` ${name}=${encodeXtext(value)}` : '';
  const nameAddress =
    attribute('NAME', request.logClientName) +
    attribute('ADDR', request.logClientAddress) +
    attribute('PORT', request.logClientPort);
  const source = request.rewriteContext === 'local' ? 'LOCAL' : 'REMOTE';
  const protocolHelo =
    attribute('PROTO', request.logClientProtocol) +
    attribute('HELO', request.logClientHelo) +
    attribute('IDENT', request.logIdent) +
    attribute('SOURCE', request.rewriteContext === '' ? '' : source);
  return {
    ...(nameAddress === '' ? {} : { nameAddress: `XFORWARD${nameAddress}` }),
    ...(protocolHelo === '' ? {} : { protocolHelo: `XFORWARD${protocolHelo}` }),
  };
}
