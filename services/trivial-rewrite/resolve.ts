/**
 * Where a recipient's mail goes: transport, nexthop, recipient and address class. A function of the
 * settings, the tables and the addresses; it returns its verdict and how it came to it.
 */
import { splitAddress } from '../../lib/address/address.ts';
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import type { MatchList } from '../../lib/config/match-list.ts';
import { type AddressKeyRules, addressKeys, search } from '../../lib/table/address-search.ts';
import type { TableList } from '../../lib/table/table.ts';
import { isBareAddress, isMailDomain, literalAddress } from './domain.ts';
import { findRecipient, type RecipientRules } from './recipient.ts';
import { applyEntry, type Route, splitRoute } from './transport-map.ts';

/** Parameters that have a twin for address probes (`address_verify_...`). */
export interface RouteRules {
  /** Names the parameters in warnings: empty, or `address_verify_`. */
  readonly prefix: '' | 'address_verify_';
  readonly localTransport: string;
  readonly virtualTransport: string;
  readonly relayTransport: string;
  readonly defaultTransport: string;
  readonly relayhost: string;
  readonly senderRelayhosts: TableList;
  readonly senderTransports: TableList;
  readonly transports: TableList;
}

export interface ResolveRules extends RecipientRules {
  readonly aliasDomains: MatchList;
  readonly mailboxDomains: MatchList;
  readonly relayDomains: MatchList;
  readonly relocated: TableList;
  readonly numericDomain: boolean;
  readonly allowMinUser: boolean;
  readonly utf8: boolean;
  readonly helpfulWarnings: boolean;
  readonly showTable: boolean;
  readonly nullSenderRelayhostKey: string;
  readonly nullSenderTransportKey: string;
  /** How addresses are split for lookups, with the quoting of keys. */
  readonly keys: AddressKeyRules;
  readonly transportKeys: AddressKeyRules;
  readonly configurationFile: string;
  readonly warn: (text: string) => void;
}

/** One thing that had a say. */
export interface Step {
  readonly parameter: string;
  /** Table and key, or the pattern that matched. */
  readonly by: string;
  readonly result: string;
}

export interface Resolution extends Route {
  readonly recipient: string;
  readonly flags: number;
  readonly trail: readonly Step[];
}

/** A table or list cannot answer: the resolution fails with what it has so far. */
class Unavailable extends Error {}

/** Resolves one recipient. `sender` and `address` are in internal form. */
export async function resolveAddress(
  sender: string,
  address: string,
  rules: ResolveRules,
  route: RouteRules,
): Promise<Resolution> {
  const resolver = new Resolver(sender, rules, route);
  try {
    await resolver.resolve(address);
  } catch (error) {
    if (!(error instanceof Unavailable)) throw error;
    rules.warn(error.message);
    resolver.flags |= RESOLVE.FAIL;
  }
  const { transport, nexthop, recipient, flags, trail } = resolver;
  return { transport, nexthop, recipient, flags, trail };
}

class Resolver implements Resolution {
  // Clients see these texts when nothing better was found out.
  transport = 'CHANNEL NOT UPDATED';
  nexthop = 'NEXTHOP NOT UPDATED';
  recipient = 'NEXTRCPT NOT UPDATED';
  flags = 0;
  readonly trail: Step[] = [];
  readonly #sender: string;
  readonly #rules: ResolveRules;
  readonly #route: RouteRules;
  #domain = '';

  constructor(sender: string, rules: ResolveRules, route: RouteRules) {
    this.#sender = sender;
    this.#rules = rules;
    this.#route = route;
  }

  async resolve(address: string): Promise<void> {
    const own = await this.#findRecipient(address);
    if ((this.flags & RESOLVE.ERROR) !== 0) {
      this.flags |= RESOLVE.DEFAULT;
      return;
    }
    if (isRouted(this.recipient, this.#domain)) this.flags |= RESOLVE.ROUTED;
    const blame = own === undefined ? await this.#sendAway() : await this.#keep(own);
    const { transport, nexthop } = splitRoute(this.transport);
    this.transport = transport;
    if (nexthop !== '') this.nexthop = nexthop;
    if (transport === '') {
      throw new Unavailable(
        `file ${this.#rules.configurationFile}: parameter ${blame}: null transport is not allowed`,
      );
    }
    await this.#applyTransportMaps();
    await this.#applyRelocatedMaps();
    // A command may take such an address for one of its options.
    if (this.recipient.startsWith('-') && !this.#rules.allowMinUser) this.flags |= RESOLVE.ERROR;
  }

  /** @returns what makes the recipient's domain ours */
  async #findRecipient(address: string): Promise<string | undefined> {
    const rules = this.#rules;
    const found = await available('mydestination', findRecipient(address, rules));
    if (found === undefined) throw new Unavailable(`<${address}>: giving up after too many steps`);
    this.recipient = found.address;
    this.#domain = splitAddress(found.address).domain;
    if (this.#domain.startsWith('[')) {
      if (literalAddress(this.#domain) === undefined) this.flags |= RESOLVE.ERROR;
      return found.own;
    }
    if (isMailDomain(this.#domain, rules.utf8)) return found.own;
    if (!rules.numericDomain || !isBareAddress(this.#domain)) {
      this.flags |= RESOLVE.ERROR;
      return found.own;
    }
    this.recipient = `${splitAddress(found.address).local}@[${this.#domain}]`;
    this.#domain = `[${this.#domain}]`;
    return (await available('mydestination', rules.ownDomain(this.#domain))) ?? found.own;
  }

  /** The domain is ours. @returns the parameter that named the transport */
  async #keep(own: string): Promise<string> {
    const { aliasDomains, mailboxDomains } = this.#rules;
    await this.#warnIfIn(aliasDomains, 'mydestination', 'virtual_alias_domains');
    await this.#warnIfIn(mailboxDomains, 'mydestination', 'virtual_mailbox_domains');
    this.flags |= RESOLVE.LOCAL;
    this.nexthop = this.#domain;
    return this.#use('local_transport', this.#route.localTransport, own);
  }

  /** The domain is elsewhere, or a virtual one. @returns as #keep */
  async #sendAway(): Promise<string> {
    const { aliasDomains, mailboxDomains, relayDomains, showTable } = this.#rules;
    const alias = await this.#matches(aliasDomains, 'virtual_alias_domains');
    if (alias !== undefined) {
      await this.#warnIfIn(mailboxDomains, 'virtual_alias_domains', 'virtual_mailbox_domains');
      await this.#warnIfIn(relayDomains, 'virtual_alias_domains', 'relay_domains');
      this.flags |= RESOLVE.ALIAS;
      this.transport = 'error';
      this.nexthop = `5.1.1 User unknown${showTable ? ' in virtual alias table' : ''}`;
      this.#note('virtual_alias_domains', alias, this.nexthop);
      return 'virtual_alias_domains';
    }
    const mailbox = await this.#matches(mailboxDomains, 'virtual_mailbox_domains');
    if (mailbox !== undefined) {
      await this.#warnIfIn(relayDomains, 'virtual_mailbox_domains', 'relay_domains');
      this.flags |= RESOLVE.VIRTUAL;
      this.nexthop = this.#domain;
      return this.#use('virtual_transport', this.#route.virtualTransport, mailbox);
    }
    const relay = await this.#matches(relayDomains, 'relay_domains');
    const blame =
      relay === undefined
        ? await this.#useDefaultTransport()
        : this.#use('relay_transport', this.#route.relayTransport, relay);
    this.flags |= relay === undefined ? RESOLVE.DEFAULT : RESOLVE.RELAY;
    await this.#applyRelayhost();
    return blame;
  }

  async #useDefaultTransport(): Promise<string> {
    const { senderTransports, defaultTransport } = this.#route;
    const key = this.#sender === '' ? this.#rules.nullSenderTransportKey : this.#sender;
    const found = await this.#lookup(senderTransports, key, this.#rules.keys);
    if (found === undefined) return this.#use('default_transport', defaultTransport, '');
    const transport = found.value.toUpperCase() === 'DUNNO' ? defaultTransport : found.value;
    this.transport = transport;
    return senderTransports.parameter;
  }

  async #applyRelayhost(): Promise<void> {
    const { senderRelayhosts, relayhost, prefix } = this.#route;
    const key = this.#sender === '' ? this.#rules.nullSenderRelayhostKey : this.#sender;
    const found = await this.#lookup(senderRelayhosts, key, this.#rules.keys);
    if (found !== undefined && found.value.toUpperCase() !== 'DUNNO') {
      this.nexthop = found.value;
      return;
    }
    this.nexthop = relayhost === '' ? this.#domain : relayhost;
    if (relayhost !== '') this.#note(`${prefix}relayhost`, '', relayhost);
  }

  /** Unknown users of an alias domain stay unknown, whatever the transport table says. */
  async #applyTransportMaps(): Promise<void> {
    const { transports } = this.#route;
    if (transports.tables.length === 0 || (this.flags & RESOLVE.ALIAS) !== 0) return;
    const keys = this.#rules.transportKeys;
    const found =
      (await this.#lookup(transports, this.recipient, keys)) ??
      (await this.#ask(transports, () => transports.lookup('*')));
    if (found === undefined) return;
    const { transport, nexthop } = applyEntry(found.value, this, this.#domain);
    this.transport = transport;
    this.nexthop = nexthop;
  }

  async #applyRelocatedMaps(): Promise<void> {
    const found = await this.#lookup(this.#rules.relocated, this.recipient, this.#rules.keys);
    if (found === undefined) return;
    this.transport = 'error';
    this.nexthop = `5.1.6 User has moved to ${found.value}`;
  }

  #use(parameter: string, transport: string, by: string): string {
    const name = this.#route.prefix + parameter;
    this.transport = transport;
    this.#note(name, by, transport);
    return name;
  }

  async #lookup(tables: TableList, address: string, keys: AddressKeyRules) {
    if (tables.tables.length === 0) return undefined;
    const own = () => this.#isOwn(splitAddress(address).domain);
    return this.#ask(tables, () => search(tables, addressKeys(address, keys), own));
  }

  async #ask<Answer extends { value: string; table: string; key: string }>(
    tables: TableList,
    ask: () => Answer | undefined | Promise<Answer | undefined>,
  ): Promise<Answer | undefined> {
    const found = await available(tables.parameter, ask);
    if (found !== undefined) {
      this.#note(tables.parameter, `${found.table} key ${found.key}`, found.value);
    }
    return found;
  }

  async #isOwn(domain: string): Promise<boolean> {
    if (domain.toLowerCase() === this.#rules.origin.toLowerCase()) return true;
    return (await this.#rules.ownDomain(domain)) !== undefined;
  }

  async #matches(list: MatchList, parameter: string): Promise<string | undefined> {
    const relay = parameter === 'relay_domains';
    try {
      const match = relay ? list.matchName(this.#domain) : list.matchText(this.#domain);
      const { matched, pattern } = await match;
      return matched ? pattern : undefined;
    } catch (error) {
      this.#rules.warn(`${parameter}: table lookup problem: ${(error as Error).message}`);
      throw new Unavailable(`${parameter} lookup failure`, { cause: error });
    }
  }

  async #warnIfIn(list: MatchList, first: string, second: string): Promise<void> {
    if (!this.#rules.helpfulWarnings) return;
    // A list in trouble is reported when it matters; this is only good advice.
    const matched = await this.#matches(list, second).catch(() => undefined);
    if (matched === undefined) return;
    this.#rules.warn(`do not list domain ${this.#domain} in BOTH ${first} and ${second}`);
  }

  #note(parameter: string, by: string, result: string): void {
    this.trail.push({ parameter, by, result });
  }
}

/** Runs a lookup; one that fails is reported under the parameter's name. */
async function available<Value>(
  parameter: string,
  lookup: Promise<Value> | (() => Value | Promise<Value>),
): Promise<Value> {
  try {
    return await (typeof lookup === 'function' ? lookup() : lookup);
  } catch (error) {
    throw new Unavailable(`${parameter} lookup failure`, { cause: error });
  }
}

/**
 * Whether the local part could lead on, on the next machine if not on ours: it may see routing
 * where we see none.
 */
function isRouted(recipient: string, domain: string): boolean {
  const operatorAt = recipient.search(/[@!%]/);
  return recipient.slice(operatorAt + 1) !== domain;
}
