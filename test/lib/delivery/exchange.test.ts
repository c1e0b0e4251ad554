/**
 * What our agents tell the log, bounce, defer, trace and verify, and what they mark, is what
 * Postfix's own do: the same request goes to both.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Recipient } from '../../../lib/delivery/recipient.ts';
import { DELIVERY_FLAG } from '../../../lib/delivery/request.ts';
import { NOTIFY } from '../../../lib/dsn/notify.ts';
import { REAL_DAEMONS, whyNoPostfix } from '../../support/real-postfix.ts';
import { deliver, startScene } from './scene.ts';

const skip = whyNoPostfix();

const AGENTS: readonly (readonly [program: string, service: string, nexthop: string])[] = [
  ['discard', 'discard', '2.7.1 load test'],
  ['error', 'error', '5.7.1 go away'],
  ['error', 'retry', '4.7.1 come back later'],
];
const TO: readonly (string | Partial<Recipient>)[] = [
  { address: 'bob@a.example', original: 'Bob@A.example', dsnOriginal: 'rfc822;Bob@A.example' },
  { address: 'carol@b.example', original: 'alias@b.example', notify: NOTIFY.success },
  { address: '"odd user"@b.example', notify: NOTIFY.never },
];
const { MTA_VRFY, USR_VRFY, RECORD, REC_DLY_SENT } = DELIVERY_FLAG;
const FLAGS = [3, 2, MTA_VRFY | 3, USR_VRFY | 3, RECORD | 3, REC_DLY_SENT | 3];
const SITUATIONS: readonly { main?: Record<string, string>; status?: number }[] = [
  {},
  { status: -1 },
  { main: { soft_bounce: 'yes' } },
  { main: { fast_flush_domains: 'b.example' } },
  { main: { address_verify_negative_cache: 'no' } },
];

for (const [program, service, nexthop] of AGENTS) {
  for (const situation of SITUATIONS) {
    test(`${service} with ${JSON.stringify(situation)}`, { skip }, async (t) => {
      const args = ['-n', service];
      const main = { mail_owner: 'postfix', ...situation.main };
      const ask = async (path: string, flags: number) => {
        const scene = await startScene(t, { ...situation, main, program: path, args });
        const result = await deliver(scene, TO, { flags, nexthop });
        return { ...result, requests: scene.requests, marksSeen: scene.marksSeen };
      };
      for (const flags of FLAGS) {
        const real = await ask(`${REAL_DAEMONS}/${program}`, flags);
        const ours = await ask(`libexec/${program}`, flags);
        assert.deepEqual(ours, real, `flags ${flags}`);
      }
    });
  }
}
