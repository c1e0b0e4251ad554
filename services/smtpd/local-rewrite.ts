/**
 * local_header_rewrite_clients: whose messages have their addresses completed with our domain, header
 * and envelope. What a client is connected from and logged in as is known before MAIL; certificates
 * and tables are looked at when it comes.
 */
import { splitList } from '../../lib/config/list.ts';
import { TableError } from '../../lib/table/table.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import { isRelayClient } from './certificate-restrictions.ts';
import type { Knowledge } from './rule.ts';
import type { Session } from './session.ts';
import type { Client } from './transaction.ts';

const PARAMETER = 'local_header_rewrite_clients';
const AGAIN = '451 4.3.0 Temporary lookup error';
const MISCONFIGURED = '451 4.3.5 Server configuration error';

/** What the client alone decides. */
type ClientWord = (typeof CLIENT_WORDS)[number];

const CLIENT_WORDS = [
  'permit_inet_interfaces',
  'permit_mynetworks',
  'permit_sasl_authenticated',
] as const;
const CERTIFICATE_WORDS: ReadonlySet<string> = new Set([
  'permit_tls_clientcerts',
  'permit_tls_all_clientcerts',
]);
const TABLE_WORD = 'check_address_map';

/** One entry of the list. */
type Entry =
  | { readonly kind: 'client'; readonly word: ClientWord }
  | { readonly kind: 'certificate'; readonly word: string }
  | { readonly kind: 'table'; readonly tables: TableList }
  /** It makes no sense: the log says so for each message. */
  | { readonly kind: 'wrong'; readonly warning: string; readonly isFatal: boolean };

/** Yes or no, or the reply that says that nobody can tell. */
type Answer = boolean | { readonly reply: string };

export class LocalRewrite {
  readonly #entries: readonly Entry[];
  readonly #knowledge: Knowledge;
  readonly #isOfClient: boolean;

  constructor(text: string, openTable: (name: string) => TableList, knowledge: Knowledge) {
    this.#entries = parseEntries(splitList(text), openTable);
    this.#knowledge = knowledge;
    this.#isOfClient = this.#entries.every(({ kind }) => kind === 'client');
  }

  /** As far as the client alone decides. */
  ofClient(client: Client): boolean {
    return (
      this.#isOfClient &&
      this.#entries.some((entry) => entry.kind === 'client' && this.#matches(entry.word, client))
    );
  }

  /** Finds out about the rest, when MAIL has come. @returns a reply that refuses it; it is logged */
  refusal(session: Session): Promise<string | undefined> | undefined {
    if (this.#isOfClient && typeof session.client.network !== 'object') return undefined;
    return this.#find(session);
  }

  /** Goes through the list as far as it has to. */
  async #find(session: Session): Promise<string | undefined> {
    let isLocalRewrite = false;
    for (const entry of this.#entries) {
      const answer = await this.#ask(entry, session);
      if (typeof answer === 'object') {
        // Postfix does not know the sender yet when it logs this.
        session.reset();
        session.logRule('reject', answer.reply);
        return answer.reply;
      }
      if (!answer) continue;
      isLocalRewrite = true;
      break;
    }
    session.client = { ...session.client, isLocalRewrite };
    return undefined;
  }

  async #ask(entry: Entry, { client, tls, smtpd: { log } }: Session): Promise<Answer> {
    switch (entry.kind) {
      case 'client':
        if (entry.word === 'permit_mynetworks' && typeof client.network === 'object') {
          log.warn(client.network.failed);
          return { reply: AGAIN };
        }
        return this.#matches(entry.word, client);
      case 'certificate': {
        const found = await isRelayClient(entry.word, tls, this.#knowledge);
        for (const note of found.notes) if ('severity' in note) log[note.severity](note.text);
        return found.failed === undefined ? found.isPermitted : { reply: AGAIN };
      }
      case 'table':
        try {
          return (await entry.tables.lookup(client.address)) !== undefined;
        } catch (error) {
          if (!(error instanceof TableError)) throw error;
          return { reply: AGAIN };
        }
      case 'wrong':
        log.warn(entry.warning);
        return entry.isFatal ? { reply: MISCONFIGURED } : false;
    }
  }

  #matches(word: ClientWord, { network, peerAddress, login }: Client): boolean {
    if (word === 'permit_mynetworks') return typeof network === 'string';
    if (word === 'permit_sasl_authenticated') return login !== undefined;
    return this.#knowledge.isOwnAddress(peerAddress);
  }
}

function parseEntries(words: readonly string[], openTable: (name: string) => TableList): Entry[] {
  const entries: Entry[] = [];
  for (let at = 0; at < words.length; at += 1) {
    const given = words[at] ?? '';
    const word = given.toLowerCase();
    const own = CLIENT_WORDS.find((name) => name === word);
    if (given.includes(':')) entries.push({ kind: 'table', tables: openTable(given) });
    else if (own !== undefined) entries.push({ kind: 'client', word: own });
    else if (CERTIFICATE_WORDS.has(word)) entries.push({ kind: 'certificate', word });
    else if (word !== TABLE_WORD) {
      const warning = `parameter ${PARAMETER}: invalid request: ${given}`;
      entries.push({ kind: 'wrong', warning, isFatal: false });
    } else if (words[at + 1]?.includes(':') !== true) {
      const name = words[at + 1] ?? given;
      const warning = `restriction ${given}: bad argument "${name}": need maptype:mapname`;
      entries.push({ kind: 'wrong', warning, isFatal: true });
      at += 1;
    }
  }
  return entries;
}
