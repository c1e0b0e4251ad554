/** SCRAM-SHA-256, the server's side, without channel binding. RFC 5802, RFC 7677. */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Accounts, ScramKeys } from './accounts.ts';
import { type Conversation, judge, MALFORMED, textOf } from './conversation.ts';

/** RFC 7677 4 asks for at least 4096. */
const ITERATIONS = 4096;
/** Stored keys may want more; the client does this work, and we once where there is a password. */
export const ITERATIONS_MAX = 1_000_000;
const HASH_BYTES = 32;
const SALT_BYTES = 16;
const NONCE_BYTES = 18;

/** Salts of those that we have no salt of are made of this: the same for as long as we run. */
const OWN_KEY = randomBytes(HASH_BYTES);

/** `n,,n=user,r=nonce`. A binding to the channel (`p=`) is not offered, and not taken. */
const CLIENT_FIRST = /^([ny]),(?:a=([^,]*))?,(n=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,[^\0]*)?)$/;
const CLIENT_FINAL = /^(c=([^,]*),r=([\x21-\x2b\x2d-\x7e]+)(?:,[^\0]*)?),p=([A-Za-z0-9+/=]*)$/;

export async function* scramSha256(accounts: Accounts, first: Buffer | undefined): Conversation {
  const hello = CLIENT_FIRST.exec(textOf(first ?? (yield Buffer.alloc(0))) ?? '');
  if (hello === null) return MALFORMED;
  const [, flag, actsAs, bare, name = '', clientNonce] = hello;
  const user = decodeName(name);
  if (user === undefined) return MALFORMED;
  const { keys, isKnown } = await keysOf(accounts, user);
  const nonce = `${clientNonce}${randomBytes(NONCE_BYTES).toString('base64')}`;
  const serverFirst = `r=${nonce},s=${keys.salt.toString('base64')},i=${keys.iterations}`;
  const answer = CLIENT_FINAL.exec(textOf(yield Buffer.from(serverFirst)) ?? '');
  if (answer === null) return MALFORMED;
  const [, withoutProof, binding = '', givenNonce, proofText = ''] = answer;
  const header = `${flag},${actsAs === undefined ? '' : `a=${actsAs}`},`;
  const proof = Buffer.from(proofText, 'base64');
  const isSame = givenNonce === nonce && decodeBase64(binding) === header;
  if (!isSame || proof.length !== HASH_BYTES) return MALFORMED;
  const message = `${bare},${serverFirst},${withoutProof}`;
  const clientKey = xor(proof, hmac(keys.storedKey, message));
  const isProven = timingSafeEqual(sha256(clientKey), keys.storedKey);
  const judgement = judge(
    isProven && isKnown,
    user,
    actsAs === undefined ? user : decodeName(actsAs),
  );
  if (judgement.kind !== 'done') return judgement;
  // We have to prove ourselves, too; the client has nothing to say to it.
  const verifier = hmac(keys.serverKey, message).toString('base64');
  const last = yield Buffer.from(`v=${verifier}`);
  return last.length === 0 ? judgement : MALFORMED;
}

/** What a server may keep in place of a password. */
export async function deriveKeys(
  password: string,
  salt: Buffer,
  iterations = ITERATIONS,
): Promise<ScramKeys> {
  const salted = await new Promise<Buffer>((resolve, reject) => {
    pbkdf2(prepare(password), salt, iterations, HASH_BYTES, 'sha256', (error, key) =>
      error === null ? resolve(key) : reject(error),
    );
  });
  const storedKey = sha256(hmac(salted, 'Client Key'));
  return { salt, iterations, storedKey, serverKey: hmac(salted, 'Server Key') };
}

/** Whether keys are those of a password. */
export async function isPasswordOf(keys: ScramKeys, password: string): Promise<boolean> {
  const found = await deriveKeys(password, keys.salt, keys.iterations);
  return timingSafeEqual(found.storedKey, keys.storedKey);
}

async function keysOf(
  accounts: Accounts,
  user: string,
): Promise<{ keys: ScramKeys; isKnown: boolean }> {
  const secret = await accounts.secretOf?.(user);
  const salt = hmac(OWN_KEY, user).subarray(0, SALT_BYTES);
  // For users that there are not, the same questions; and the same work for all.
  const password = secret?.kind === 'password' ? secret.password : OWN_KEY.toString('hex');
  const derived = await deriveKeys(password, salt);
  const keys = secret?.kind === 'scram' ? secret.keys : derived;
  return { keys, isKnown: secret !== undefined };
}

/** RFC 5802 5.1: `=2C` and `=3D`, and no other `=`. */
function decodeName(text: string): string | undefined {
  if (text === '' || /=(?!2C|3D)/.test(text) || /[\x00-\x1f\x7f]/.test(text)) return undefined;
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=');
}

function decodeBase64(text: string): string {
  return Buffer.from(text, 'base64').toString('latin1');
}

/** RFC 4013, as far as passwords that people type need it. */
function prepare(password: string): string {
  if (/^[\x20-\x7e]*$/.test(password)) return password;
  return password
    .replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, ' ')
    .replace(/\p{Default_Ignorable_Code_Point}/gu, '')
    .normalize('NFKC');
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function xor(one: Buffer, other: Buffer): Buffer {
  return Buffer.from(one.map((byte, at) => byte ^ (other[at] ?? 0)));
}
