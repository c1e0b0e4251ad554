import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Concurrency } from '../../../services/qmgr/concurrency.ts';
import { Fifo } from '../../../services/qmgr/fifo.ts';
import { routeFiltered, routeResolved } from '../../../services/qmgr/routing.ts';
import { parseFeedback, type TransportLimits } from '../../../services/qmgr/settings.ts';
import { areDelimiters, verpSender } from '../../../services/qmgr/verp.ts';

const LIMITS: TransportLimits = {
  concurrency: 20,
  initialConcurrency: 5,
  recipients: 50,
  failedCohorts: 1,
  positiveFeedback: { factor: 1, per: 'delivery' },
  negativeFeedback: { factor: 1, per: 'delivery' },
  destinationDelay: 0,
  transportDelay: 0,
  slots: { cost: 5, loan: 3, discount: 50, minimumSlots: 3 },
  recipientsInMemory: 20000,
  recipientsInReserve: 1000,
  refillRecipients: 100,
  refillDelay: 5,
};

/** `+` is a delivery that succeeds while the window is full, `-` one that fails. */
const WINDOWS: [string, Partial<TransportLimits>, number[]][] = [
  ['+++', {}, [6, 7, 8]],
  ['-+-', { failedCohorts: 10 }, [4, 5, 4]],
  ['-----', { failedCohorts: 0 }, [4, 3, 2, 1, 1]],
  ['++', { concurrency: 6 }, [6, 6]],
  ['++++', { positiveFeedback: { factor: 0.5, per: 'delivery' } }, [5, 6, 6, 7]],
  [
    '+++++++',
    { initialConcurrency: 3, positiveFeedback: { factor: 1, per: 'concurrency' } },
    [3, 3, 4, 4, 4, 4, 5],
  ],
];

for (const [deliveries, limits, windows] of WINDOWS) {
  test(`after ${deliveries} with ${JSON.stringify(limits)} the window was ${windows}`, () => {
    const concurrency = new Concurrency({ ...LIMITS, ...limits });
    const found = [...deliveries].map((sign) => {
      if (sign === '+') concurrency.succeeded(concurrency.window);
      else concurrency.failed();
      return concurrency.window;
    });
    assert.deepEqual(found, windows);
  });
}

test('a destination is dead after one cohort of failures, and not before', () => {
  const concurrency = new Concurrency({
    ...LIMITS,
    negativeFeedback: { factor: 0, per: 'delivery' },
  });
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => concurrency.failed()),
    [false, false, false, false, true],
  );
});

test('a success forgives failures', () => {
  const concurrency = new Concurrency({
    ...LIMITS,
    negativeFeedback: { factor: 0, per: 'delivery' },
  });
  for (let n = 0; n < 20; n += 1) {
    assert.equal(concurrency.failed(), false);
    concurrency.succeeded(0);
  }
});

test('a window that is not used does not grow', () => {
  const concurrency = new Concurrency(LIMITS);
  for (let n = 0; n < 20; n += 1) concurrency.succeeded(0);
  assert.equal(concurrency.window, 5);
});

for (const [text, expected] of [
  ['1', { factor: 1, per: 'delivery' }],
  ['0.25', { factor: 0.25, per: 'delivery' }],
  ['1/4', { factor: 0.25, per: 'delivery' }],
  ['1 / concurrency', { factor: 1, per: 'concurrency' }],
  ['0.5/sqrt_concurrency', { factor: 0.5, per: 'sqrt_concurrency' }],
  ['2', undefined],
  ['-1', undefined],
  ['1/', undefined],
  ['1/0', undefined],
  ['many', undefined],
] as const) {
  test(`feedback ${text} is ${expected === undefined ? 'refused' : 'read'}`, () => {
    assert.deepEqual(parseFeedback(text), expected);
  });
}

for (const [sender, recipient, expected] of [
  ['list@l.test', 'bob@b.test', 'list+bob=b.test@l.test'],
  ['list@l.test', 'bob', 'list+bob@l.test'],
  ['list', 'bob@b.test', 'list+bob=b.test'],
  ['li@st@l.test', 'b@o@b.test', 'li@st+b@o=b.test@l.test'],
] as const) {
  test(`VERP makes ${expected}`, () => assert.equal(verpSender('+=', sender, recipient), expected));
}

for (const [text, expected] of [
  ['+=', true],
  ['-=', true],
  ['+', false],
  ['+=+', false],
  ['ab', false],
] as const) {
  test(`${text} are ${expected ? '' : 'no '}VERP delimiters`, () => {
    assert.equal(areDelimiters(text, '-=+'), expected);
  });
}

const RULES = {
  errorService: 'error',
  retryService: 'retry',
  deferTransports: new Set(['slow']),
  doubleBounceSender: 'double-bounce',
  defaultFilterNexthop: '',
  myhostname: 'mx.lab.test',
  probesMax: 10,
};
const FACTS = { flushed: false, forceExpired: false, isProbe: false, probes: 0 };

const ROUTES: [string, object, object, string][] = [
  ['bob@b.test', {}, {}, 'smtp b.test'],
  ['', {}, {}, 'error 5.1.3 null recipient address'],
  ['b@b', { flags: 4 }, {}, 'error 5.1.3 bad address syntax'],
  ['b@b', { flags: 8 }, {}, 'retry 4.3.0 address resolver failure'],
  ['b@b', { transport: 'slow' }, {}, 'retry 4.3.2 deferred transport'],
  ['b@b', { transport: 'slow' }, { flushed: true }, 'slow b.test'],
  ['b@b', {}, { forceExpired: true }, 'retry 4.7.0 message is administratively expired'],
  ['b@b', {}, { isProbe: true, probes: 11 }, 'retry 4.3.2 Too many address verification requests'],
  ['b@b', {}, { isProbe: false, probes: 11 }, 'smtp b.test'],
  ['x', { flags: 256, recipient: 'Double-Bounce@mx.lab.test' }, {}, 'discard'],
  ['x', { flags: 4096, recipient: 'double-bounce@other.test' }, {}, 'smtp b.test'],
];

for (const [address, resolution, facts, expected] of ROUTES) {
  test(`${address || '<>'} ${JSON.stringify({ ...resolution, ...facts })} goes to ${expected}`, () => {
    const resolved = {
      transport: 'smtp',
      nexthop: 'b.test',
      recipient: address,
      flags: 4096,
      ...resolution,
    };
    const route = routeResolved(resolved, address, RULES, { ...FACTS, ...facts });
    assert.equal(
      route.kind === 'discard' ? 'discard' : `${route.transport} ${route.nexthop}`,
      expected,
    );
  });
}

for (const [filter, address, expected] of [
  ['scan:[127.0.0.1]:10025', 'a@a.test', 'scan [127.0.0.1]:10025'],
  ['scan:', 'a@a.test', 'scan a.test'],
  ['scan', 'a', 'scan mx.lab.test'],
  ['slow:x', 'a@a.test', 'retry 4.3.2 deferred transport'],
] as const) {
  test(`content_filter ${filter} sends ${address} to ${expected}`, () => {
    const route = routeFiltered(filter, address, RULES, FACTS);
    assert.equal(route.kind === 'deliver' && `${route.transport} ${route.nexthop}`, expected);
  });
}

test('what is first in is first out', () => {
  const fifo = new Fifo<number>();
  const out: number[] = [];
  for (let n = 0; n < 1000; n += 1) {
    fifo.push(n);
    if (n % 3 === 0) out.push(fifo.shift() as number);
  }
  assert.equal(fifo.length, 1000 - out.length);
  for (let item = fifo.shift(); item !== undefined; item = fifo.shift()) out.push(item);
  assert.deepEqual(out, [...Array(1000).keys()]);
});
