/** A program that asks for users of the machine: `asking 1000 joe:secret ann:x`. */
import { systemSource } from '../../../services/auth/system-source.ts';
import { Users } from '../../../services/auth/users.ts';

const [minimumUid, ...wanted] = process.argv.slice(2);
const users = new Users([systemSource(Number(minimumUid))]);

async function ask(): Promise<void> {
  const found: Record<string, boolean> = {};
  for (const each of wanted) {
    const [user = ''] = each.split(':', 1);
    const password = each.slice(user.length + 1);
    found[each] = await users.verify(user, password);
  }
  process.stdout.write(JSON.stringify(found));
}

ask().catch((error) => {
  process.stdout.write(String(error));
});
