/** CRAM-MD5: proof of a password that both sides know. RFC 2195. */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { now } from '../clock/clock.ts';
import type { Accounts } from './accounts.ts';
import { type Conversation, judge, MALFORMED, usernameOf } from './conversation.ts';

const DIGEST_BYTES = 16;

/** @param hostname ours: it is part of the challenge */
export async function* cramMd5(accounts: Accounts, hostname: string): Conversation {
  const challenge = `<${randomBytes(12).toString('hex')}.${Math.floor(now())}@${hostname}>`;
  const response = yield Buffer.from(challenge);
  const blank = response.lastIndexOf(' ');
  const user = usernameOf(response.subarray(0, Math.max(blank, 0)));
  const proof = Buffer.from(response.toString('latin1', blank + 1), 'hex');
  if (user === undefined || proof.length !== DIGEST_BYTES) return MALFORMED;
  const secret = await accounts.secretOf?.(user);
  const isKnown = secret?.kind === 'password';
  // For users that there are not, the same work.
  const password = isKnown ? secret.password : randomBytes(DIGEST_BYTES);
  const expected = createHmac('md5', password).update(challenge).digest();
  return judge(timingSafeEqual(proof, expected) && isKnown, user);
}
