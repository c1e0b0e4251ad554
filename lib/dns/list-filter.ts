/** Which answers of a list count: `127.0.0.[1;3..5]`. postconf(5), reject_rbl_client. Pure. */
import { FatalError } from '../log/fatal.ts';

const OCTET_MAX = 255;
const PART = String.raw`(?:\d+|\[\d+(?:\.\.\d+)?(?:;\d+(?:\.\.\d+)?)*\])`;
const FILTER = new RegExp(String.raw`^(${PART})\.(${PART})\.(${PART})\.(${PART})$`);

interface Range {
  readonly low: number;
  readonly high: number;
}

/** @throws {FatalError} when it is no pattern of an address */
export function parseListFilter(text: string): (address: string) => boolean {
  const parts = FILTER.exec(text)?.slice(1);
  if (parts === undefined) throw new FatalError(`bad DNSBL filter syntax: "${text}"`);
  const octets = parts.map((part) => parsePart(part, text));
  return (address) =>
    address
      .split('.')
      .every((octet, at) =>
        octets[at]?.some(({ low, high }) => Number(octet) >= low && Number(octet) <= high),
      );
}

function parsePart(part: string, whole: string): Range[] {
  return part
    .replace(/[[\]]/g, '')
    .split(';')
    .map((range) => {
      const [low = 0, high = low] = range.split('..').map(Number);
      if (low > high || high > OCTET_MAX) {
        throw new FatalError(`bad DNSBL filter range in "${whole}"`);
      }
      return { low, high };
    });
}
