import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startSmtpPeer } from '../../support/smtp-peer.ts';
import { logged, startAgent } from './agent.ts';

test('a message goes out, and the log tells where to', async (t) => {
  const peer = await startSmtpPeer(t);
  const agent = startAgent(t);
  const done = await agent.deliver(`[127.0.0.1]:${peer.port}`);
  assert.equal(done.status, 0);
  assert.deepEqual(peer.messages, [
    {
      sender: 'ann@example.com',
      recipients: ['bob@example.net'],
      content: 'Subject: test\r\n\r\nhello\r\n.dot\r\n',
    },
  ]);
  const line = await logged(done, /status=sent/);
  assert.match(line, /^to=<bob@example\.net>, relay=127\.0\.0\.1\[127\.0\.0\.1\]:\d+, delay=/);
  assert.match(line, /, dsn=2\.0\.0, status=sent \(250 2\.0\.0 Ok: queued as PEER\)$/);
});
