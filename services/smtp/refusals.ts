/** What the configuration asks for that this client can't do: refused by name, mail waits. Pure. */
import type { Protocol } from './settings.ts';
import { ownTrouble, type Trouble } from './trouble.ts';

/** The parameters that decide; without their prefix. */
export interface SecurityWishes {
  readonly protocol: Protocol;
  readonly tlsLevel: string;
  readonly enforceTls: boolean;
  readonly wrapperMode: boolean;
  readonly policyMaps: string;
  readonly perSite: string;
  readonly saslEnable: boolean;
}

/** TLS when the server offers it is a wish, which plain text does not break. */
const OPTIONAL_LEVELS = new Set(['', 'none', 'may']);

/** @returns why no mail can be sent with these settings */
export function refusalOf(wishes: SecurityWishes): Trouble | undefined {
  const name = (suffix: string) => `${wishes.protocol}_${suffix}`;
  if (!OPTIONAL_LEVELS.has(wishes.tlsLevel.toLowerCase())) {
    return tlsRefusal(`${name('tls_security_level')} = ${wishes.tlsLevel}`);
  }
  if (wishes.tlsLevel === '' && wishes.enforceTls)
    return tlsRefusal(`${name('enforce_tls')} = yes`);
  if (wishes.wrapperMode) return tlsRefusal(`${name('tls_wrappermode')} = yes`);
  if (wishes.policyMaps !== '') return tlsRefusal(`${name('tls_policy_maps')}`);
  if (wishes.perSite !== '') return tlsRefusal(`${name('tls_per_site')}`);
  if (wishes.saslEnable) {
    const reason = `${name('sasl_auth_enable')} = yes: this mail client can't authenticate itself yet`;
    return ownTrouble('4.7.0', reason);
  }
  return undefined;
}

function tlsRefusal(setting: string): Trouble {
  return ownTrouble('4.7.4', `${setting}: this mail client can't do TLS yet`);
}
