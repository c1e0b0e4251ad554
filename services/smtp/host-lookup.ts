/**
 * From a destination to the hosts that may take its mail: MX records, then addresses, or why there
 * are none.
 */
import {
  type AddressRecord,
  type DnsAnswer,
  isNullMx,
  type MxRecord,
} from '../../lib/dns/answer.ts';
import type { Resolver } from '../../lib/dns/resolver.ts';
import type { Status } from '../../lib/dsn/status.ts';
import { cutAtSelf, type Host, type OrderRules, orderHosts } from './host-choice.ts';
import type { Settings } from './settings.ts';
import { ownTrouble, type Trouble } from './trouble.ts';

export interface FoundHosts {
  /** In the order to try them. */
  readonly hosts: readonly Host[];
  /** Why there are none; or what went wrong with some. */
  readonly trouble?: Trouble;
  /** The best preference in the DNS. */
  readonly bestPreference: number;
  /** We are a mail exchanger for it: hosts that are none must not get the mail. */
  readonly isSelf: boolean;
  readonly warnings: readonly string[];
  /** How this came about, a sentence for each step. */
  readonly trail: readonly string[];
}

export interface HostLookupOptions {
  readonly resolver: Resolver;
  readonly settings: Settings;
  /** Whether an address is one that we take mail on. */
  isOwn(address: string): boolean;
  random(): number;
}

const NO_PREFERENCE = 0;
/** Mail exchangers of one domain that are looked at. */
const EXCHANGERS_MAX = 100;

/** Which status each DNS problem has. RFC 7505 has one for null MX. */
const STATUS = {
  again: '4.4.3',
  invalid: '5.4.3',
  'not-found': '5.4.4',
  'no-data': '5.4.4',
} as const satisfies Record<string, Status<4> | Status<5>>;

export class HostLookup {
  readonly #options: HostLookupOptions;

  constructor(options: HostLookupOptions) {
    this.#options = options;
  }

  /** The mail exchangers of a domain; the domain itself when it has none. */
  async exchangers(domain: string, detectLoops: boolean): Promise<FoundHosts> {
    const answer = await this.#options.resolver.lookupMx(domain);
    if (answer.status === 'found') {
      if (isNullMx(answer.records)) {
        return none(ownTrouble('5.1.0', `Domain ${domain} does not accept mail (nullMX)`));
      }
      return await this.#addresses(domain, answer.records, detectLoops);
    }
    const noRecords = answer.status === 'not-found' || answer.status === 'no-data';
    if (noRecords || this.#options.settings.ignoreMxLookupError) {
      return await this.host(domain, detectLoops);
    }
    return none(dnsTrouble(answer));
  }

  /** One host, without looking for exchangers. */
  async host(name: string, detectLoops: boolean): Promise<FoundHosts> {
    const found = await this.#addressesOf(name, NO_PREFERENCE);
    if (found.hosts.length === 0) return none(found.trouble);
    if (detectLoops && found.hosts.some(({ address }) => this.#options.isOwn(address))) {
      return { ...none(loopTrouble(name)), isSelf: true };
    }
    return {
      hosts: orderHosts(found.hosts, this.#order()),
      bestPreference: NO_PREFERENCE,
      isSelf: false,
      warnings: [],
      trail: [`${name} is ${found.hosts.map(({ address }) => address).join(', ')}`],
    };
  }

  async #addresses(
    domain: string,
    records: readonly MxRecord[],
    detectLoops: boolean,
  ): Promise<FoundHosts> {
    const sorted = [...records].sort((a, b) => a.preference - b.preference);
    const bestPreference = sorted[0]?.preference ?? NO_PREFERENCE;
    const lookups = sorted
      .slice(0, EXCHANGERS_MAX)
      .map(({ exchange, preference }) => this.#addressesOf(exchange, preference));
    const answers = await Promise.all(lookups);
    const hosts = answers.flatMap((answer) => answer.hosts);
    const trail = sorted.map(({ exchange, preference }, index) => {
      const answer = answers[index];
      const addresses = answer?.hosts.map(({ address }) => address).join(', ') ?? '';
      const what = addresses === '' ? answer?.trouble?.reason : addresses;
      return `${domain} MX ${preference} ${exchange}: ${what ?? 'not looked at'}`;
    });
    const trouble = answers.findLast((answer) => answer.trouble !== undefined)?.trouble;
    if (hosts.length === 0) {
      return {
        ...none(this.#options.settings.deferIfNoMxAddress ? softened(trouble) : trouble),
        bestPreference,
        warnings: [`no MX host for ${domain} has a valid address record`],
        trail,
      };
    }
    const place = detectLoops
      ? cutAtSelf(hosts, (address) => this.#options.isOwn(address))
      : { hosts, isSelf: false };
    if (place.hosts.length === 0) {
      const bestFound = Math.min(...hosts.map(({ preference }) => preference));
      const missing = ownTrouble('4.4.4', `unable to find primary relay for ${domain}`);
      const reason = bestFound === bestPreference ? loopTrouble(domain) : missing;
      const cut = [...trail, `we are a mail exchanger for ${domain}, and none is better`];
      return { ...none(reason), bestPreference, isSelf: true, trail: cut };
    }
    return {
      hosts: orderHosts(place.hosts, this.#order()),
      trouble,
      bestPreference,
      isSelf: place.isSelf,
      warnings: [],
      trail,
    };
  }

  async #addressesOf(
    name: string,
    preference: number,
  ): Promise<{ hosts: readonly Host[]; trouble?: Trouble }> {
    const { resolver, settings } = this.#options;
    const toHosts = (records: readonly AddressRecord[]) =>
      records.map(({ family, address }) => ({ name, address, family, preference }));
    let trouble: Trouble | undefined;
    if (settings.dnsEnabled && settings.hostLookup.includes('dns')) {
      const answer = await resolver.lookupAddresses(name, settings.families);
      if (answer.status === 'found') return { hosts: toHosts(answer.records) };
      trouble = dnsTrouble(answer);
      if (answer.status === 'again' || answer.status === 'invalid') return { hosts: [], trouble };
    }
    if (!settings.dnsEnabled || settings.hostLookup.includes('native')) {
      const answer = await resolver.lookupNative(name, settings.families);
      if (answer.status === 'found') return { hosts: toHosts(answer.records) };
      trouble = nativeTrouble(name, answer);
    }
    return { hosts: [], trouble };
  }

  #order(): OrderRules {
    const { settings, random } = this.#options;
    return {
      randomize: settings.randomizeAddresses,
      addressPreference: settings.addressPreference,
      balance: settings.balanceProtocols,
      limit: settings.mxAddressLimit,
      random,
    };
  }
}

function none(trouble: Trouble | undefined): FoundHosts {
  const trail = trouble === undefined ? [] : [trouble.reason];
  return { hosts: [], trouble, bestPreference: NO_PREFERENCE, isSelf: false, warnings: [], trail };
}

function dnsTrouble(answer: DnsAnswer<unknown>): Trouble {
  const status = answer.status === 'found' ? '4.4.3' : STATUS[answer.status];
  return ownTrouble(status, answer.reason);
}

/** The words of getaddrinfo(3). */
function nativeTrouble(name: string, answer: DnsAnswer<unknown>): Trouble {
  const again = answer.status === 'again';
  const words = again
    ? 'Temporary failure in name resolution'
    : answer.status === 'no-data'
      ? 'No address associated with hostname'
      : 'Name or service not known';
  const status = again ? '4.4.3' : answer.status === 'no-data' ? '5.3.0' : '5.4.4';
  return ownTrouble(status, `unable to look up host ${name}: ${words}`);
}

function loopTrouble(name: string): Trouble {
  return { ...ownTrouble('5.4.6', `mail for ${name} loops back to myself`), loop: true };
}

function softened(trouble: Trouble | undefined): Trouble | undefined {
  if (trouble === undefined) return undefined;
  return { ...trouble, status: `4${trouble.status.slice(1)}` as Status<4> };
}
