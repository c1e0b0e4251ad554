/** `>=TLSv1.2, !SSLv3`: which versions of TLS a list of Postfix's allows. Pure. */

/** What can't be understood: the text names the value. */
export class TlsSettingError extends Error {
  override readonly name = 'TlsSettingError';
}

/** In rising order; `number` is what stands on the wire. Nobody speaks the first two any more. */
const VERSIONS = [
  { name: 'SSLv2', number: 0x0002 },
  { name: 'SSLv3', number: 0x0300 },
  { name: 'TLSv1', number: 0x0301 },
  { name: 'TLSv1.1', number: 0x0302 },
  { name: 'TLSv1.2', number: 0x0303 },
  { name: 'TLSv1.3', number: 0x0304 },
] as const;

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3';
type Name = (typeof VERSIONS)[number]['name'];

const SPOKEN: readonly TlsVersion[] = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'];

/**
 * Reads `smtpd_tls_protocols` and its like: names that are wanted, names with `!` that are not, and
 * `>=` or `<=` before a name or a hexadecimal number. Postfix: postconf(5).
 *
 * @returns the versions that are allowed; with none, no handshake succeeds
 * @throws {TlsSettingError}
 */
export function parseProtocols(text: string): readonly TlsVersion[] {
  const wanted = new Set<Name>();
  const unwanted = new Set<Name>();
  let floor = 0;
  let ceiling = Number.POSITIVE_INFINITY;
  for (const word of text.split(/[\s,:]+/)) {
    if (word === '') continue;
    if (word.startsWith('>=')) floor = Math.max(0, limitOf(word.slice(2), text));
    else if (word.startsWith('<=')) ceiling = limitOf(word.slice(2), text) || ceiling;
    else if (word.startsWith('!')) unwanted.add(versionOf(word.slice(1), text).name);
    else wanted.add(versionOf(word, text).name);
  }
  return SPOKEN.filter((name) => {
    const { number } = versionOf(name, text);
    const isNamed = (wanted.size === 0 || wanted.has(name)) && !unwanted.has(name);
    return isNamed && number >= floor && number <= ceiling;
  });
}

/** A name, or a number such as `0303`; 0 is no limit. */
function limitOf(word: string, text: string): number {
  if (/^[0-9a-f]{1,4}$/i.test(word)) return Number.parseInt(word, 16);
  return versionOf(word, text).number;
}

function versionOf(word: string, text: string): (typeof VERSIONS)[number] {
  const found = VERSIONS.find(({ name }) => name.toLowerCase() === word.toLowerCase());
  if (found === undefined) throw new TlsSettingError(`Invalid TLS protocol list "${text}"`);
  return found;
}
