/**
 * What becomes of an address behind smtpd: cleanup completes it, maps it and expands aliases;
 * trivial-rewrite finds out whose it is, and which way its mail goes.
 */

import { quote, unquote } from '../../lib/address/address.ts';
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { formatOrigin } from '../../lib/config/source.ts';
import { fromText, toLogText } from '../../lib/message/byte-string.ts';
import type { TableWatch } from '../../lib/server/table-watch.ts';
import { placeOf } from '../../lib/table/place.ts';
import { type Table, TableList } from '../../lib/table/table.ts';
import { type Expanding, expandAliases } from '../../services/cleanup/recipients.ts';
import { Rewriting } from '../../services/cleanup/rewriting.ts';
import {
  CLEANUP_PARAMETERS,
  type Settings as CleanupSettings,
  openSettings as openCleanup,
} from '../../services/cleanup/settings.ts';
import { resolveAddress } from '../../services/trivial-rewrite/resolve.ts';
import { rewriteAddress } from '../../services/trivial-rewrite/rewrite.ts';
import type { Settings } from '../../services/trivial-rewrite/settings.ts';

/** One line: what had a say, and what came of it. */
export interface RouteStep {
  readonly by: string;
  readonly result: string;
}

/** Where mail for one address goes. */
export interface Way {
  readonly recipient: string;
  readonly addressClass: string;
  readonly transport: string;
  readonly nexthop: string;
  readonly steps: readonly RouteStep[];
  /** It has no way: why. */
  readonly trouble: string | undefined;
}

export interface Route {
  /** Rewriting and aliases. */
  readonly steps: readonly RouteStep[];
  readonly ways: readonly Way[];
}

const CLASSES: readonly (readonly [bit: number, text: string])[] = [
  [RESOLVE.LOCAL, 'local: the domain is in mydestination, or an address of this machine'],
  [RESOLVE.ALIAS, 'virtual alias: the domain is in virtual_alias_domains'],
  [RESOLVE.VIRTUAL, 'virtual mailbox: the domain is in virtual_mailbox_domains'],
  [RESOLVE.RELAY, 'relay: the domain is in relay_domains'],
  [RESOLVE.DEFAULT, 'default: the domain is somebody else’s'],
];

/** Goes the way of addresses without sending anything. */
export class Router {
  readonly #configuration: Configuration;
  readonly #settings: Settings;
  readonly #cleanup: CleanupSettings;
  readonly #rewriting: Rewriting;
  #steps: RouteStep[] = [];
  #trouble: string | undefined;

  constructor(configuration: Configuration, settings: Settings, tables: TableWatch) {
    this.#configuration = configuration;
    this.#settings = settings;
    const cleanup = openCleanup(configuration.select(CLEANUP_PARAMETERS), tables);
    const told = <T extends { readonly tables: TableList } | undefined>(placed: T): T =>
      placed === undefined ? placed : { ...placed, tables: this.#told(placed.tables) };
    this.#cleanup = {
      ...cleanup,
      senderCanonical: told(cleanup.senderCanonical),
      recipientCanonical: told(cleanup.recipientCanonical),
      canonical: told(cleanup.canonical),
      virtualAliases: cleanup.virtualAliases && this.#told(cleanup.virtualAliases),
      senderBcc: cleanup.senderBcc && this.#told(cleanup.senderBcc),
      recipientBcc: cleanup.recipientBcc && this.#told(cleanup.recipientBcc),
    };
    this.#rewriting = new Rewriting(this.#cleanup, {
      rewrite: async (rule, address) => this.#rewrite(rule, address),
    });
  }

  /** The sender as the queue file will have it. */
  async sender(address: string): Promise<{ address: string; steps: readonly RouteStep[] }> {
    this.#steps = [];
    const complete = await this.#rewriting.internal('local', fromText(address));
    const mapped = await this.#rewriting.map(this.#message(), 'envelope_sender', complete);
    if (mapped !== complete) this.#note('rewritten', toLogText(mapped));
    return { address: toLogText(mapped), steps: this.#steps };
  }

  /** All that becomes of a recipient. */
  async recipient(sender: string, address: string): Promise<Route> {
    this.#steps = [];
    this.#trouble = undefined;
    const { virtualAliases, parameters } = this.#cleanup;
    const given = address === '' ? parameters.empty_address_recipient : address;
    const complete = await this.#rewriting.internal('local', fromText(given));
    const mapped = await this.#rewriting.map(this.#message(), 'envelope_recipient', complete);
    const results =
      virtualAliases === undefined
        ? [mapped]
        : await expandAliases(this.#message(), virtualAliases, mapped);
    const steps = this.#steps;
    const ways: Way[] = [];
    for (const result of new Set(results)) ways.push(await this.#way(sender, toLogText(result)));
    return { steps, ways };
  }

  /** Who else gets a copy: always_bcc and the bcc maps. */
  async copies(sender: string, recipients: readonly string[]): Promise<readonly RouteStep[]> {
    this.#steps = [];
    const always = this.#configuration.text('always_bcc');
    if (always !== '') this.#note('always_bcc', always);
    const { senderBcc, recipientBcc } = this.#cleanup;
    const message = this.#message();
    if (senderBcc && sender !== '')
      await this.#rewriting.lookup(message, senderBcc, fromText(sender));
    for (const recipient of recipientBcc ? recipients : []) {
      await this.#rewriting.lookup(message, recipientBcc as TableList, fromText(recipient));
    }
    return this.#steps;
  }

  async #way(sender: string, recipient: string): Promise<Way> {
    const found = await resolveAddress(
      sender,
      recipient,
      this.#settings.resolve,
      this.#settings.mail,
    );
    const { flags, transport, nexthop } = found;
    const isBad = (flags & RESOLVE.ERROR) !== 0;
    const steps = found.trail.map(({ parameter, by, result }) => ({
      by: `${this.#placed(parameter)}${by === '' ? '' : ` (${withPlace(by)})`}`,
      result,
    }));
    const trouble =
      this.#trouble ??
      (isBad
        ? 'the address makes no sense'
        : (flags & RESOLVE.FAIL) !== 0
          ? 'a table does not answer; the mail would wait'
          : undefined);
    return {
      recipient: found.recipient,
      addressClass: CLASSES.find(([bit]) => (flags & bit) !== 0)?.[1] ?? 'none',
      ...{ transport, nexthop, steps, trouble },
    };
  }

  #rewrite(rule: 'local' | 'remote', address: string): string {
    const { address: result, trail } = rewriteAddress(address, this.#settings[rule]);
    if (result !== address) this.#note(trail.map((step) => this.#placed(step)).join(', '), result);
    return result;
  }

  /** Tables that say what they answered. */
  #told(list: TableList): TableList {
    const { parameter, tables } = list;
    const told = (table: Table): Table => ({
      ...table,
      lookup: (key) => {
        const answer = table.lookup(key);
        const note = (value: string | undefined) => {
          if (value !== undefined) {
            this.#note(`${this.#placed(parameter)} (${placeOf(table.name, key)}: ${key})`, value);
          }
          return value;
        };
        return answer instanceof Promise ? answer.then(note) : note(answer);
      },
    });
    return new TableList(parameter, tables.map(told));
  }

  #note(by: string, result: string): void {
    this.#steps.push({ by, result });
  }

  /** `main.cf, line 3: relayhost`; a rule that is no parameter, or a default, just by its name. */
  #placed(parameter: string): string {
    const origin = this.#configuration.origin(parameter);
    return origin === undefined ? parameter : `${parameter}, ${formatOrigin(origin)}`;
  }

  #message(): Expanding {
    const trouble = (text: string) => {
      this.#trouble ??= text;
    };
    return {
      warn: trouble,
      fail() {
        this.errors |= 1;
      },
      errors: 0,
      reason: '',
      settings: this.#cleanup,
      surroundings: { rewriting: this.#rewriting },
    };
  }
}

/** `hash:/etc/postfix/transport key example.com`, with the line. */
function withPlace(by: string): string {
  const [, table, key] = /^(.*) key (.*)$/s.exec(by) ?? [];
  return table === undefined || key === undefined ? by : `${placeOf(table, key)}: ${key}`;
}

/** Internal addresses as trivial-rewrite's clients give them to it. */
export function completed(settings: Settings, address: string): string {
  return unquote(rewriteAddress(quote(address), settings.local).address);
}
