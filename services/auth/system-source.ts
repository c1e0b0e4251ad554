/** The users of this machine: /etc/passwd and /etc/shadow, by way of the name service. */
import { now } from '../../lib/clock/clock.ts';
import { CryptError, isPasswordOf, USUAL_SETTING } from '../../lib/os/crypt.ts';
import { OsError } from '../../lib/os/error.ts';
import { lookupUser } from '../../lib/os/identity.ts';
import { lookupShadow, type ShadowEntry } from '../../lib/os/shadow.ts';
import { SaslTrouble } from '../../lib/sasl/exchange.ts';
import type { Account, Source } from './source.ts';

const DAY_MS = 86_400_000;

/** @param minimumUid whoever has a lower one is a part of the system, and logs in nowhere */
export function systemSource(minimumUid: number): Source {
  return {
    async find(user) {
      try {
        const known = lookupUser(user);
        if (known === undefined || known.uid < minimumUid) return undefined;
        const entry = lookupShadow(user);
        return entry === undefined || hasExpired(entry) ? undefined : accountOf(entry.hash);
      } catch (error) {
        if (error instanceof OsError) throw new SaslTrouble(error.message, { cause: error });
        throw error;
      }
    },
    imitate,
    knowledge: () => 'hashes',
  };
}

/** What is done for a user that there is. */
export function imitate(password: string): Promise<unknown> {
  return checkHash(USUAL_SETTING, password);
}

/** A password of which there is a hash of crypt(3). */
export function accountOf(hash: string): Account {
  return { check: (password) => checkHash(hash, password) };
}

async function checkHash(hash: string, password: string): Promise<boolean> {
  try {
    return await isPasswordOf(hash, password);
  } catch (error) {
    if (error instanceof CryptError) throw new SaslTrouble(error.message, { cause: error });
    throw error;
  }
}

/** The account has ended, or its password has to be changed first: shadow(5). As PAM has it. */
function hasExpired({ expiresDay, changedDay, maximumDays }: ShadowEntry): boolean {
  const today = Math.floor(now() / DAY_MS);
  if (expiresDay >= 0 && today >= expiresDay) return true;
  return (
    changedDay === 0 || (changedDay > 0 && maximumDays >= 0 && today > changedDay + maximumDays)
  );
}
