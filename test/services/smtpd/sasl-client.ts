/** A client that logs in with mechanisms that have to be computed. RFC 2195, RFC 5802. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { Dialogue, type Door } from './dialogue.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** One step of a mechanism: a challenge in, a response out. */
type Responder = (challenge: string) => string;

const MECHANISMS: Readonly<Record<string, (credentials: Credentials) => Responder>> = {
  PLAIN:
    ({ user, password }) =>
    () =>
      `\0${user}\0${password}`,
  LOGIN:
    ({ user, password }) =>
    (challenge) =>
      challenge === 'Username:' ? user : password,
  'CRAM-MD5':
    ({ user, password }) =>
    (challenge) =>
      `${user} ${createHmac('md5', password).update(challenge).digest('hex')}`,
  'SCRAM-SHA-256': scram,
};

function scram({ user, password }: Credentials): Responder {
  const first = `n=${user},r=clientnonce`;
  let step = 0;
  let expected = '';
  return (challenge) => {
    step += 1;
    if (step === 1) return `n,,${first}`;
    if (step === 3) return challenge === expected ? '' : 'the server is not who it says';
    const [, nonce = '', salt = '', count = ''] =
      /^r=([^,]*),s=([^,]*),i=(\d+)/.exec(challenge) ?? [];
    const salted = pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(count), 32, 'sha256');
    const clientKey = hmac(salted, 'Client Key');
    const bare = `c=biws,r=${nonce}`;
    const message = `${first},${challenge},${bare}`;
    const signature = hmac(createHash('sha256').update(clientKey).digest(), message);
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)));
    expected = `v=${hmac(hmac(salted, 'Server Key'), message).toString('base64')}`;
    return `${bare},p=${proof.toString('base64')}`;
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

/** Says EHLO, and tries to log in. @returns the reply that ends it */
export async function logIn(
  door: Door,
  mechanism: string,
  credentials: Credentials,
): Promise<string> {
  const dialogue = new Dialogue(door);
  try {
    await dialogue.expect(1);
    await dialogue.play('EHLO client.test');
    await dialogue.play(`AUTH ${mechanism}`);
    const respond = MECHANISMS[mechanism]?.(credentials);
    for (;;) {
      const reply = dialogue.replies.at(-1) ?? '';
      if (!reply.startsWith('334 ') || respond === undefined) return reply;
      const challenge = Buffer.from(reply.slice(4), 'base64').toString();
      await dialogue.play(Buffer.from(respond(challenge)).toString('base64'));
    }
  } finally {
    await dialogue.close();
  }
}

/** What each mechanism answers to the right password, a wrong one, and for nobody. */
export async function tryMechanisms(
  door: Door,
  mechanisms: readonly string[],
  { user, password }: Credentials,
): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const mechanism of mechanisms) {
    const replies: string[] = [];
    for (const credentials of [
      { user, password },
      { user, password: `${password}x` },
      { user: 'nobody', password },
    ]) {
      replies.push((await logIn(door, mechanism, credentials)).slice(0, 3));
    }
    found[mechanism] = replies;
  }
  return found;
}
