/** A program that asks for users of the machine: `asking system joe:secret ann:x`. */
import { pamSource } from '../../../services/auth/pam-source.ts';
import { systemSource } from '../../../services/auth/system-source.ts';
import { Users } from '../../../services/auth/users.ts';

const MINIMUM_UID = 1000;
const [name = '', ...wanted] = process.argv.slice(2);
const source =
  name === 'system'
    ? systemSource(MINIMUM_UID)
    : pamSource(name === 'pam' ? 'smtp' : name.slice(4), MINIMUM_UID);
const users = new Users([source]);

async function ask(each: string): Promise<[string, boolean | string]> {
  const [user = ''] = each.split(':', 1);
  try {
    return [each, await users.verify(user, each.slice(user.length + 1))];
  } catch (error) {
    return [each, String(error)];
  }
}

Promise.all(wanted.map(ask)).then(
  (found) => process.stdout.write(JSON.stringify(Object.fromEntries(found))),
  (error) => process.stdout.write(String(error)),
);
