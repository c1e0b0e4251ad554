/** A program that gives root up, and says which groups it is left with. */
import { becomeForever } from '../../../lib/os/identity.ts';

const user = { name: 'nobody', uid: 12345, gid: 12346, home: '/', shell: '', gecos: '' };
becomeForever(user, { groups: [12347, 12346] });
process.stdout.write(
  JSON.stringify([process.getuid?.(), process.getgid?.(), process.getgroups?.()]),
);
