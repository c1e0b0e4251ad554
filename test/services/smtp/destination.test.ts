import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseDestination, parseServices } from '../../../services/smtp/destination.ts';

const services = parseServices('# comment\nother\t2525/tcp\tthat # x\nother 99/udp\nsmtp 9/tcp\n');
const rules = { protocol: 'smtp', defaultPort: 'smtp', dnsEnabled: true } as const;
const portOf = (service: string) => services.get(service);

const SMTP: Record<string, { host: string; port: number; lookupMx: boolean }> = {
  'example.com': { host: 'example.com', port: 25, lookupMx: true },
  'example.com:587': { host: 'example.com', port: 587, lookupMx: true },
  'example.com:submission': { host: 'example.com', port: 587, lookupMx: true },
  'example.com:that': { host: 'example.com', port: 2525, lookupMx: true },
  '[mx.example.com]': { host: 'mx.example.com', port: 25, lookupMx: false },
  '[192.0.2.1]:2525': { host: '192.0.2.1', port: 2525, lookupMx: false },
  '[ipv6:2001:db8::1]': { host: '2001:db8::1', port: 25, lookupMx: false },
  '[IPv6:2001:db8::1]:24': { host: '2001:db8::1', port: 24, lookupMx: false },
  '[2001:db8::1]': { host: '2001:db8::1', port: 25, lookupMx: false },
};
for (const [text, expected] of Object.entries(SMTP)) {
  test(`the nexthop ${text}`, () => {
    const found = parseDestination(text, { ...rules, portOf });
    assert.deepEqual(found, { kind: 'inet', text, ...expected });
  });
}

for (const text of ['', '[]', '[a', 'a]', 'a:', 'a:0', 'a:70000', 'a:b:c', ':25', 'a:nosuch']) {
  test(`the nexthop ${JSON.stringify(text)} makes no sense, and we say so`, () => {
    assert.match(String(parseDestination(text, { ...rules, portOf })), /server description: /);
  });
}

const LMTP: Record<string, object> = {
  'unix:private/store': { kind: 'unix', path: 'private/store' },
  'unix:/run/store': { kind: 'unix', path: '/run/store' },
  'inet:store.example': { kind: 'inet', host: 'store.example', port: 24, lookupMx: false },
  'inet:[192.0.2.1]:26': { kind: 'inet', host: '192.0.2.1', port: 26, lookupMx: false },
  'store.example:26': { kind: 'inet', host: 'store.example', port: 26, lookupMx: false },
};
for (const [text, expected] of Object.entries(LMTP)) {
  test(`the LMTP nexthop ${text}`, () => {
    const lmtp = { ...rules, protocol: 'lmtp', defaultPort: '24', portOf } as const;
    assert.deepEqual(parseDestination(text, lmtp), { text, ...expected });
  });
}
