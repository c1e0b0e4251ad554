import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutAtSelf, type Host, orderHosts } from '../../../services/smtp/host-choice.ts';

/** `a4:10` is host a, IPv4, preference 10. */
function hosts(text: string): Host[] {
  return text.split(' ').map((word) => {
    const [, name = '', family, preference] = /^(.)([46]):(\d+)$/.exec(word) ?? [];
    const address = `${name}${family}`;
    return { name, address, family: family === '4' ? 4 : 6, preference: Number(preference) };
  });
}
const names = (list: readonly Host[]) => list.map(({ address }) => address).join(' ');

const RULES = { randomize: false, addressPreference: 'any', balance: false, limit: 5 };
const random = () => 0;

test('hosts are tried by preference', () => {
  const ordered = orderHosts(hosts('c4:30 a4:10 b4:20'), { ...RULES, random });
  assert.equal(names(ordered), 'a4 b4 c4');
});

test('equals are shuffled, preferences kept', () => {
  const list = hosts('a4:10 b4:10 c4:10 d4:20');
  const seen = new Set<string>();
  for (const dice of [0, 0.3, 0.5, 0.7, 0.99]) {
    const ordered = names(orderHosts(list, { ...RULES, randomize: true, random: () => dice }));
    assert.match(ordered, / d4$/);
    seen.add(ordered);
  }
  assert.ok(seen.size > 1);
});

for (const [addressPreference, order] of [
  ['any', 'a4 b6 c4 d6'],
  ['ipv4', 'a4 c4 b6 d6'],
  ['ipv6', 'b6 d6 a4 c4'],
] as const) {
  test(`smtp_address_preference = ${addressPreference} among equals`, () => {
    const list = hosts('a4:10 b6:10 c4:10 d6:10');
    assert.equal(names(orderHosts(list, { ...RULES, addressPreference, random })), order);
  });
}

const BALANCED: [list: string, limit: number, kept: string][] = [
  ['a6:1 b6:1 c6:1 d6:1 e6:1 f4:1', 4, 'a6 b6 c6 f4'],
  ['a4:1 b4:1 c4:1 d6:1 e6:1 f6:1', 4, 'a4 b4 d6 e6'],
  ['a4:1 b4:1 c4:1 d4:1', 2, 'a4 b4'],
  ['a4:1 b6:1', 5, 'a4 b6'],
  ['a4:1 b4:1 c6:1', 0, 'a4 b4 c6'],
];
for (const [list, limit, kept] of BALANCED) {
  test(`of ${list} at most ${limit} are tried, and both protocols: ${kept}`, () => {
    const ordered = orderHosts(hosts(list), { ...RULES, balance: true, limit, random });
    assert.equal(names(ordered), kept);
  });
}

const SELF: [list: string, own: string, left: string, isSelf: boolean][] = [
  ['a4:10 b4:20', 'z4', 'a4 b4', false],
  ['a4:10 b4:20', 'a4', '', true],
  ['a4:10 b4:20 c4:30', 'b4', 'a4', true],
  ['a4:10 b4:20 c4:20', 'c4', 'a4', true],
];
for (const [list, own, left, isSelf] of SELF) {
  test(`when we are ${own} of ${list}, mail goes to: ${left || 'nobody'}`, () => {
    const place = cutAtSelf(hosts(list), (address) => address === own);
    assert.deepEqual([names(place.hosts), place.isSelf], [left, isSelf]);
  });
}
