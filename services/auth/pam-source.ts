/** Users that PAM knows: the machine's own, and those of directories that its modules ask. */
import { Gate } from '../../lib/async/gate.ts';
import { OsError } from '../../lib/os/error.ts';
import { lookupUser } from '../../lib/os/identity.ts';
import { askPam, PamError } from '../../lib/os/pam.ts';
import { SaslTrouble } from '../../lib/sasl/exchange.ts';
import type { Source } from './source.ts';
import { imitate } from './system-source.ts';

/** Each holds a thread for as long as its modules think; auth(8) has twice as many. */
export const PAM_THREADS = 8;
const gate = new Gate(PAM_THREADS);
/** Those who wait longer than some seconds have given up. */
const WAITING_MAX = 200;

/**
 * @param service a file of /etc/pam.d
 * @param minimumUid users of the machine with lower ones do not log in
 */
export function pamSource(service: string, minimumUid: number): Source {
  return {
    async find(user) {
      try {
        const known = lookupUser(user);
        // PAM may know users that the machine does not.
        if (known !== undefined && known.uid < minimumUid) return undefined;
      } catch (error) {
        if (error instanceof OsError) throw new SaslTrouble(error.message, { cause: error });
        throw error;
      }
      return {
        check: (password, remoteHost) => ask({ service, user, password, remoteHost }),
      };
    },
    imitate,
    knowledge: () => 'hashes',
  };
}

async function ask(question: Parameters<typeof askPam>[0]): Promise<boolean> {
  if (gate.waiting >= WAITING_MAX) throw new SaslTrouble('too many passwords at once');
  try {
    return await gate.through(() => askPam(question));
  } catch (error) {
    if (error instanceof PamError) throw new SaslTrouble(error.message, { cause: error });
    throw error;
  }
}
