/** The mechanisms that send the password: PLAIN (RFC 4616), and LOGIN, which nobody wrote down. */
import type { Accounts } from './accounts.ts';
import { type Conversation, judge, MALFORMED, textOf, usernameOf } from './conversation.ts';

const NOTHING = Buffer.alloc(0);
const NUL = 0;

export async function* plain(accounts: Accounts, first: Buffer | undefined): Conversation {
  const message = first ?? (yield NOTHING);
  const end = message.indexOf(NUL);
  const middle = message.indexOf(NUL, end + 1);
  if (end < 0 || middle < 0) return MALFORMED;
  const actsAs = textOf(message.subarray(0, end));
  const user = usernameOf(message.subarray(end + 1, middle));
  const password = textOf(message.subarray(middle + 1));
  if (actsAs === undefined || user === undefined || !password) return MALFORMED;
  return judge(await accounts.verify(user, password), user, actsAs || user);
}

const NAME_PROMPT = Buffer.from('Username:');
const PASSWORD_PROMPT = Buffer.from('Password:');

export async function* login(accounts: Accounts, first: Buffer | undefined): Conversation {
  const user = usernameOf(first ?? (yield NAME_PROMPT));
  if (user === undefined) return MALFORMED;
  const password = textOf(yield PASSWORD_PROMPT);
  if (!password) return MALFORMED;
  return judge(await accounts.verify(user, password), user);
}
