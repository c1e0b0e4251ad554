import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import {
  type DeliveryRequest,
  formatRequest,
  receiveRequest,
} from '../../../lib/delivery/request.ts';
import { IpcConnection } from '../../../lib/ipc/connection.ts';
import { wire } from '../ipc/wire.ts';
import { sampleRequest } from './sample-request.ts';

/** The 791 bytes that a real qmgr sent (ipc.md 3.3), but for a time of round numbers. */
const TIME = 'wh8CawAAAABT3wkAAAAAAMIfAmsAAAAAZN8JAAAAAADCHwJrAAAAAHXfCQAAAAAA'.padEnd(120, 'A');
const REAL = wire(
  'flags␀3␀queue_name␀active␀queue_id␀9E3B3220164␀offset␀820␀size␀335␀nexthop␀quietly␀' +
    'encoding␀8bit␀smtputf8␀0␀sender␀alice@ipc.example.com␀envelope_id␀QQ314159␀ret_flags␀2␀' +
    `time␀${TIME.slice(0, 118)}==␀log_client_name␀localhost␀log_client_address␀127.0.0.1␀` +
    'log_client_port␀51934␀log_protocol_name␀ESMTP␀log_helo_name␀probe.example␀sasl_method␀␀' +
    'sasl_username␀␀sasl_sender␀␀log_ident␀9E3B3220164␀rewrite_context␀local␀' +
    'recipient_count␀2␀␀' +
    'original_recipient␀bob@disc.example␀recipient␀bob@disc.example␀offset␀719␀' +
    'dsn_orig_rcpt␀rfc822;Bob@Disc.Example␀notify_flags␀6␀␀' +
    'original_recipient␀carol@disc.example␀recipient␀carol@disc.example␀offset␀798␀' +
    'dsn_orig_rcpt␀rfc822;carol@disc.example␀notify_flags␀0␀␀',
);

function receive(bytes: Buffer): Promise<DeliveryRequest | undefined> {
  const stream = new PassThrough() as unknown as Socket;
  const connection = new IpcConnection(stream, 1000, { peer: 'agent socket' });
  stream.end(bytes);
  return receiveRequest(connection);
}

test('a request as the real qmgr sends it: the same bytes, and back', async () => {
  assert.equal(REAL.length, 791);
  const request = await receive(REAL);
  assert.deepEqual(request, sampleRequest);
  assert.deepEqual(formatRequest(sampleRequest), REAL);
});

test('Postfix 3.10 calls smtputf8 sendopts', async () => {
  const newer = Buffer.from(REAL.toString().replace('smtputf8', 'sendopts'));
  assert.deepEqual(await receive(newer), sampleRequest);
});

const edited = (from: string, to: string) => Buffer.from(REAL.toString().replace(from, to));
const REFUSED: [string, Buffer, RegExp][] = [
  ['a recipient at offset 0', edited('offset\x00719', 'offset\x000'), /^malformed recipient/],
  ['a time of another size', edited(TIME.slice(0, 4), ''), /^malformed time/],
  ['a negative count', edited('count\x002', 'count\x004294967295'), /^bad recipient count -1/],
  ['a missing recipient', edited('count\x002', 'count\x003'), /^malformed recipient/],
  ['half a request', REAL.subarray(0, 400), /^unexpected end-of-input from agent socket/],
];
for (const [what, bytes, message] of REFUSED) {
  test(`${what} is refused`, async () => {
    await assert.rejects(receive(bytes), { name: 'IpcError', message });
  });
}

test('a qmgr that closes without a request is no error', async () => {
  assert.equal(await receive(Buffer.alloc(0)), undefined);
});
