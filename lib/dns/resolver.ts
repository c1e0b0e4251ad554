/**
 * A stub resolver: asks the name servers of resolv.conf and remembers what they say, for as long
 * as they allow. Node's own has no TTLs for MX and no DNSSEC bit, hence ours.
 */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIPv4, isIPv6 } from 'node:net';
import type { AddressRecord, DnsAnswer, MxRecord, RecordType } from './answer.ts';
import { AnswerCache } from './cache.ts';
import { isHostname, toAsciiDomain } from './domain.ts';
import { exchange } from './exchange.ts';
import { type HostsFile, parseHostsFile } from './hosts-file.ts';
import { answerFrom, failure, type RecordOf } from './records.ts';
import { parseNameserver, parseResolvConf, type ResolvConf } from './resolv-conf.ts';
import { reverseName } from './reverse-name.ts';
import type { Response } from './wire.ts';

export interface ResolverOptions {
  /** `127.0.0.1:5353`, `[::1]:53`, `192.0.2.1`; empty: those of resolv.conf. */
  readonly nameservers?: readonly string[];
  readonly resolvConf?: string;
  readonly hostsFile?: string;
  /** In place of what resolv.conf says. */
  readonly timeoutMs?: number;
  readonly attempts?: number;
}

export type Families = readonly (4 | 6)[];

/** Asks the DNS. Never throws; what went wrong is the answer's status. */
export interface Resolver {
  lookupMx(name: string): Promise<DnsAnswer<MxRecord>>;
  /** Addresses of the given families, in their order; found when one family is. */
  lookupAddresses(name: string, families?: Families): Promise<DnsAnswer<AddressRecord>>;
  /** The name servers of a zone. */
  lookupNs(name: string): Promise<DnsAnswer<string>>;
  /** Names of an address. */
  lookupPtr(address: string): Promise<DnsAnswer<string>>;
  /** Each record's strings joined. */
  lookupTxt(name: string): Promise<DnsAnswer<string>>;
  /** As the operating system would: /etc/hosts first, then the DNS. */
  lookupNative(name: string, families?: Families): Promise<DnsAnswer<AddressRecord>>;
  /** The first name /etc/hosts has for an address, else those of the DNS. */
  lookupNativeName(address: string): Promise<DnsAnswer<string>>;
}

const CACHE_ENTRIES_MAX = 10_000;
/** However long a zone allows: who mends his DNS wants to see it mended. */
const TTL_MAX_SECONDS = 3600;
const NEGATIVE_TTL_MAX_SECONDS = 60;
const IDS = 0x10000;
const BOTH: Families = [4, 6];
const NXDOMAIN = 3;

/** Reads resolv.conf and /etc/hosts: call it before chroot. Holds nothing that must be closed. */
export function openResolver(options: ResolverOptions = {}): Resolver {
  const conf = parseResolvConf(textOf(options.resolvConf ?? '/etc/resolv.conf'));
  const hosts = parseHostsFile(textOf(options.hostsFile ?? '/etc/hosts'));
  const given = options.nameservers ?? [];
  return new StubResolver(hosts, {
    nameservers: given.length > 0 ? given.map(parseNameserver) : conf.nameservers,
    timeoutMs: options.timeoutMs ?? conf.timeoutMs,
    attempts: options.attempts ?? conf.attempts,
  });
}

class StubResolver implements Resolver {
  readonly #conf: ResolvConf;
  readonly #hosts: HostsFile;
  readonly #cache = new AnswerCache<DnsAnswer<unknown>>(CACHE_ENTRIES_MAX);
  readonly #asking = new Map<string, Promise<DnsAnswer<unknown>>>();

  constructor(hosts: HostsFile, conf: ResolvConf) {
    this.#hosts = hosts;
    this.#conf = conf;
  }

  lookupMx(name: string): Promise<DnsAnswer<MxRecord>> {
    return this.#lookup(name, 'MX');
  }

  lookupNs(name: string): Promise<DnsAnswer<string>> {
    return this.#lookup(name, 'NS');
  }

  lookupTxt(name: string): Promise<DnsAnswer<string>> {
    return this.#lookup(name, 'TXT');
  }

  async lookupPtr(address: string): Promise<DnsAnswer<string>> {
    const name = reverseName(address);
    if (name === undefined) return failure(address, 'PTR', 'invalid');
    return await this.#lookup(name, 'PTR');
  }

  async lookupAddresses(
    name: string,
    families: Families = BOTH,
  ): Promise<DnsAnswer<AddressRecord>> {
    if (isIPv4(name) || isIPv6(name)) return literal(name, families);
    const lookups = families.map((family) => this.#lookup(name, family === 4 ? 'A' : 'AAAA'));
    return merged(await Promise.all(lookups));
  }

  async lookupNative(name: string, families: Families = BOTH): Promise<DnsAnswer<AddressRecord>> {
    const records = this.#hosts.addressesOf(name).filter(({ family }) => families.includes(family));
    if (records.length === 0) return await this.lookupAddresses(name, families);
    return { status: 'found', records, ttl: 0, name, canonical: name, type: 'A', reason: '' };
  }

  async lookupNativeName(address: string): Promise<DnsAnswer<string>> {
    const name = this.#hosts.nameOf(address);
    if (name === undefined) return await this.lookupPtr(address);
    const records = [name];
    return {
      status: 'found',
      records,
      ttl: 0,
      name: address,
      canonical: address,
      type: 'PTR',
      reason: '',
    };
  }

  async #lookup<T extends RecordType>(name: string, type: T): Promise<DnsAnswer<RecordOf[T]>> {
    const ascii = toAsciiDomain(name);
    if (ascii === undefined || !isHostname(ascii)) {
      const reason = `Name service error for ${name}: invalid host or domain name`;
      return failure(name, type, 'not-found', 0, reason);
    }
    const key = `${type} ${ascii.toLowerCase()}`;
    const cached = this.#cache.get(key) ?? (await this.#askOnce(key, ascii, type));
    return cached as DnsAnswer<RecordOf[T]>;
  }

  /** Many deliveries to one domain ask one question. */
  #askOnce<T extends RecordType>(key: string, name: string, type: T): Promise<DnsAnswer<unknown>> {
    const asking = this.#asking.get(key);
    if (asking !== undefined) return asking;
    const asked = this.#ask(name, type).finally(() => this.#asking.delete(key));
    this.#asking.set(key, asked);
    return asked;
  }

  async #ask<T extends RecordType>(name: string, type: T): Promise<DnsAnswer<RecordOf[T]>> {
    const response = await this.#exchange(name, type);
    if (response === undefined) return failure(name, type, 'again');
    const answer = answerFrom(name, type, response);
    const longest = answer.status === 'found' ? TTL_MAX_SECONDS : NEGATIVE_TTL_MAX_SECONDS;
    this.#cache.set(`${type} ${name.toLowerCase()}`, answer, Math.min(answer.ttl, longest));
    return answer;
  }

  /** The servers in turn; one that has trouble is no reason not to ask the next. */
  async #exchange(name: string, type: RecordType): Promise<Response | undefined> {
    let last: Response | undefined;
    for (let attempt = 0; attempt < this.#conf.attempts; attempt += 1) {
      for (const server of this.#conf.nameservers) {
        try {
          const query = { id: randomInt(IDS), name, type };
          const response = await exchange(server, query, this.#conf.timeoutMs);
          if (response.rcode === 0 || response.rcode === NXDOMAIN) return response;
          last = response;
        } catch {
          // Silence or a closed port: `undefined` in the end, which is "try again".
        }
      }
      if (last !== undefined) break;
    }
    return last;
  }
}

function literal(address: string, families: Families): DnsAnswer<AddressRecord> {
  const family = isIPv4(address) ? 4 : 6;
  if (!families.includes(family)) return failure(address, family === 4 ? 'A' : 'AAAA', 'no-data');
  return {
    status: 'found',
    records: [{ family, address }],
    ttl: 0,
    name: address,
    canonical: address,
    type: family === 4 ? 'A' : 'AAAA',
    reason: '',
  };
}

/** Found beats all; then what may pass; a name that does not exist beats one without records. */
const WEIGHT = { found: 0, again: 1, invalid: 2, 'not-found': 3, 'no-data': 4 } as const;

/** One answer of those for each family. */
function merged(answers: readonly DnsAnswer<AddressRecord>[]): DnsAnswer<AddressRecord> {
  // Of equals the last speaks, as in Postfix.
  const best = answers.reduce((a, b) => (WEIGHT[b.status] <= WEIGHT[a.status] ? b : a));
  if (best.status !== 'found') return best;
  const found = answers.filter(({ status }) => status === 'found');
  return {
    ...best,
    records: found.flatMap(({ records }) => records),
    ttl: Math.min(...found.map(({ ttl }) => ttl)),
  };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
