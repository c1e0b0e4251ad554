/** *_delivery_status_filter: what the log and bounce hear is what Postfix's agents tell them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DELIVERY_FLAG } from '../../../lib/delivery/request.ts';
import { NOTIFY } from '../../../lib/dsn/notify.ts';
import { REAL_DAEMONS, whyNoPostfix } from '../../support/real-postfix.ts';
import { deliver, startScene } from './scene.ts';

const skip = whyNoPostfix();

/** Delivered; deferred, as the directory is none; bounced, as there is no such user. */
const TO = [
  { address: 'dev@lab.test', notify: NOTIFY.success },
  { address: 'dir@lab.test' },
  { address: 'nobody.such@lab.test' },
];
const MAIN = {
  mail_owner: 'postfix',
  mydestination: 'lab.test',
  biff: 'no',
  alias_maps: 'inline:{ dev=/dev/null, dir=:include:/no/such/list }',
};

const FILTERS: readonly (readonly [what: string, rules: string])[] = [
  ['texts that change', '{/^(2\\S+ delivered to file).+/ $1}, {/^([45]\\S+) .*/ $1 no reason}'],
  ['failures of the other class', '{/^4(.*)/ 5$1}, {/^5(.*)/ 4$1}'],
  ['a success that would become a failure', '{/^2(.*)/ 5$1}, {/^[45](.*)/ 2$1}'],
  ['a status without a text', '{/^(.)/ $(1).9.9}'],
  ['a text without a status', '{/./ nonsense comes out}'],
  ['a status that is none', '{/./ 2.0 what}'],
  ['nothing that matches', '{/^never/ 2.0.0 x}'],
];

for (const [what, rules] of FILTERS) {
  test(`local with a status filter: ${what}`, { skip }, async (t) => {
    const ask = async (path: string, flags: number, more: Record<string, string> = {}) => {
      const filter = `regexp:{${rules.replaceAll('$', '$$$$')}}`;
      const main = { ...MAIN, default_delivery_status_filter: filter, ...more };
      const scene = await startScene(t, { main, program: path, args: ['-n', 'local'] });
      const result = await deliver(scene, TO, { flags, nexthop: 'lab.test' });
      const warnings = scene
        .log()
        .split('\n')
        .filter((line) => line.includes('warning'))
        .map((line) => line.replace(/^.*?\]: /, ''));
      return { ...result, requests: scene.requests, warnings };
    };
    const { MTA_VRFY } = DELIVERY_FLAG;
    for (const [flags, more] of [[3], [MTA_VRFY | 3], [3, { soft_bounce: 'yes' }]] as const) {
      const real = await ask(`${REAL_DAEMONS}/local`, flags, more);
      const ours = await ask('libexec/local', flags, more);
      assert.deepEqual(ours, real, `flags ${flags} ${JSON.stringify(more)}`);
    }
  });
}
