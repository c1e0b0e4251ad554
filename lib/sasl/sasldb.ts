/**
 * Reads sasldb2, which saslpasswd2(8) writes: a hash of Berkeley DB. It is small, so that it is read
 * as a whole, page by page, and nothing needs to know how it is hashed. Pure.
 */

/** Pages start with a head of this size, and then the offsets of their items. */
const HEAD_BYTES = 26;
const HASH_MAGIC = 0x061561;
/** Types of pages, sorted or not. */
const HASH_PAGES: ReadonlySet<number> = new Set([2, 13]);
/** An item that lies in its page as it is. */
const PLAIN_ITEM = 1;
const PAGE_BYTES = { min: 512, max: 65_536 };

/** It is no file of this kind, or damaged. */
export class SasldbError extends Error {
  override readonly name = 'SasldbError';
}

/**
 * Finds the passwords of all users.
 *
 * @returns by `user`, a NUL and `realm`
 * @throws {SasldbError}
 */
export function parseSasldb(file: Buffer): ReadonlyMap<string, string> {
  if (file.length < PAGE_BYTES.min || file.readUInt32LE(12) !== HASH_MAGIC) {
    throw new SasldbError('no hash of Berkeley DB: write it with saslpasswd2 on this machine');
  }
  const size = file.readUInt32LE(20);
  const isSize = size >= PAGE_BYTES.min && size <= PAGE_BYTES.max && (size & (size - 1)) === 0;
  if (!isSize) throw new SasldbError(`a page size of ${size}`);
  const passwords = new Map<string, string>();
  for (let start = size; start + size <= file.length; start += size) {
    const items = itemsOf(file.subarray(start, start + size));
    for (let at = 0; at + 1 < items.length; at += 2) {
      const [user, realm, property] = (items[at] ?? '').split('\0');
      if (property === 'userPassword') passwords.set(`${user}\0${realm}`, items[at + 1] ?? '');
    }
  }
  return passwords;
}

/** Keys and values in turn. Those that have pages of their own are no passwords: they come out empty. */
function itemsOf(page: Buffer): string[] {
  if (!HASH_PAGES.has(page.readUInt8(25))) return [];
  const count = page.readUInt16LE(20);
  if (HEAD_BYTES + 2 * count > page.length) throw new SasldbError('a damaged page');
  const items: string[] = [];
  // They fill the page from its end.
  let end = page.length;
  for (let at = 0; at < count; at += 1) {
    const start = page.readUInt16LE(HEAD_BYTES + 2 * at);
    if (start >= end) throw new SasldbError('a damaged page');
    const isPlain = page.readUInt8(start) === PLAIN_ITEM;
    items.push(isPlain ? page.toString('utf8', start + 1, end) : '');
    end = start;
  }
  return items;
}
