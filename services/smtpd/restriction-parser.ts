/**
 * Restriction lists as they are written: words to rules. Lists of main.cf are read at start; those
 * that stand in tables when they are met, and then remembered.
 */
import { splitList } from '../../lib/config/list.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { TableList } from '../../lib/table/table-list.ts';
import { ACCESS_CHECKS, type TableCheck } from './access-checks.ts';
import type { AccessTable } from './access-table.ts';
import { checkCertificate, parseCertificateTable } from './certificate-restrictions.ts';
import { LIST_CHECKS, type ListCheck, parseDnsList } from './dns-list.ts';
import type { PolicySource } from './doors.ts';
import { askPolicy } from './policy.ts';
import { RESTRICTIONS } from './restrictions.ts';
import type { Restriction, Rule, Stage } from './rule.ts';
import { LOGIN_RESTRICTIONS } from './sender-login.ts';
import { SERVER_CHECKS } from './server-access.ts';
import { sleepFor } from './sleep.ts';
import { DUNNO, rejected, serverError, type Verdict, warning } from './verdict.ts';

/** What the restrictions of main.cf need at start. */
export interface RestrictionSources {
  /** Opens `hash:/etc/postfix/access`. */
  openTable(name: string): TableList;
  /** Makes ready to ask `unix:private/policy`, or what stands in braces. */
  openPolicy(text: string): PolicySource;
  /** smtpd_access_maps is among `parent_domain_matches_subdomains`. */
  readonly parentDomains: boolean;
  /** smtpd_restriction_classes, and what each of them consists of. */
  readonly classes: ReadonlyMap<string, string>;
  /** What the log says at start of a list that makes no sense. */
  warn(text: string): void;
}

/** A table that stands alone is for this restriction. */
const DEFAULT_CHECKS: Readonly<Record<Stage, string | undefined>> = {
  client: 'check_client_access',
  helo: 'check_helo_access',
  sender: 'check_sender_access',
  recipient: 'check_recipient_access',
  data: undefined,
  'end-of-data': undefined,
  etrn: 'check_etrn_access',
};

const NEEDS_CHECK =
  'check_client_access, check_reverse_client_hostname_access, check_helo_access, ' +
  'check_sender_access, check_recipient_access, check_etrn_access';

/** Those that keep strangers from using us as a relay. One is required. */
const RELAY_BARRIERS: ReadonlySet<string> = new Set([
  'reject_unauth_destination',
  'defer_unauth_destination',
  'reject',
  'defer',
  'defer_if_permit',
  'check_relay_domains',
]);

/** Remembered lists of tables; a table has no more different ones than this. */
const REMEMBERED_MAX = 1000;

/** What was read, and how many words it took. */
interface Parsed {
  readonly restriction: Restriction;
  readonly words: number;
}

export class RestrictionParser {
  readonly #sources: RestrictionSources;
  readonly #tables = new Map<string, TableList>();
  readonly #policies = new Map<string, PolicySource>();
  readonly #classes = new Map<string, Rule[]>();
  readonly #remembered = new Map<string, readonly Rule[]>();
  /** What makes no sense has been reported, or is reported when it is met. */
  #isQuiet = false;

  constructor(sources: RestrictionSources) {
    this.#sources = sources;
    // Later there may be no right to open their tables.
    for (const name of sources.classes.keys()) this.#class(name, undefined);
  }

  /** Reads one list. */
  parse(text: string, stage: Stage): Rule[] {
    return this.#parseWords(splitList(text), DEFAULT_CHECKS[stage]);
  }

  /** Whether a list has something that keeps strangers from relaying. */
  hasRelayBarrier(text: string, depth = 0): boolean {
    const words = splitList(text);
    return words.some((word, at) => {
      if (words[at - 1]?.toLowerCase() === 'warn_if_reject') return false;
      if (RELAY_BARRIERS.has(word.toLowerCase())) return true;
      const members = depth < this.#sources.classes.size ? this.#sources.classes.get(word) : '';
      return this.hasRelayBarrier(members ?? '', depth + 1);
    });
  }

  #parseWords(words: readonly string[], defaultCheck: string | undefined): Rule[] {
    const rules: Rule[] = [];
    let warnOnly = false;
    for (let at = 0; at < words.length; ) {
      if (words[at]?.toLowerCase() === 'warn_if_reject') {
        warnOnly = true;
        at += 1;
        continue;
      }
      const parsed = this.#parseOne(words, at, defaultCheck);
      const name = words.slice(at, at + parsed.words).join(' ');
      rules.push({ name, warnOnly, restriction: parsed.restriction });
      at += parsed.words;
      warnOnly = false;
    }
    if (warnOnly) rules.push({ name: 'warn_if_reject', warnOnly, restriction: () => DUNNO });
    return rules;
  }

  #parseOne(words: readonly string[], at: number, defaultCheck: string | undefined): Parsed {
    const [given = '', next] = words.slice(at, at + 2);
    const word = given.toLowerCase();
    if (given.includes(':')) return { restriction: this.#bareTable(given, defaultCheck), words: 1 };
    const plain = own(RESTRICTIONS, word);
    if (plain !== undefined) {
      return { restriction: FINAL.has(word) ? followed(plain, word, next) : plain, words: 1 };
    }
    const login = own(LOGIN_RESTRICTIONS, word);
    if (login !== undefined) return { restriction: login(given), words: 1 };
    const check = own(ACCESS_CHECKS, word) ?? own(SERVER_CHECKS, word);
    if (check !== undefined) {
      return { restriction: this.#tableCheck(word, check, next, defaultCheck), words: 2 };
    }
    const list = own(LIST_CHECKS, word);
    if (list !== undefined) return { restriction: this.#listCheck(word, list, next), words: 2 };
    if (word === 'check_policy_service') {
      return { restriction: this.#policy(next, defaultCheck), words: 2 };
    }
    if (word === 'sleep') return { restriction: sleepFor(next), words: 2 };
    if (this.#sources.classes.has(given)) {
      const rules = this.#class(given, defaultCheck);
      return { restriction: () => ({ kind: 'see', rules }), words: 1 };
    }
    return { restriction: trouble(`unknown smtpd restriction: "${given}"`), words: 1 };
  }

  #bareTable(name: string, defaultCheck: string | undefined): Restriction {
    const check = defaultCheck === undefined ? undefined : own(ACCESS_CHECKS, defaultCheck);
    if (check !== undefined) return check(this.#table(name, defaultCheck));
    // A class has it; who uses the class may say what for.
    this.#open(name);
    return ({ subject }) => {
      const list = rejected(subject, '').replace(/^.*>: | rejected: $/g, '');
      return serverError(`specify one of (${NEEDS_CHECK}) before ${list} restriction "${name}"`);
    };
  }

  #tableCheck(
    word: string,
    check: TableCheck,
    name: string | undefined,
    defaultCheck: string | undefined,
  ): Restriction {
    const isList = word === 'check_ccert_access' && name?.startsWith('{') === true;
    const certificates = isList ? this.#certificateCheck(name, defaultCheck) : undefined;
    if (name?.includes(':')) return certificates ?? check(this.#table(name, defaultCheck));
    return trouble(`restriction ${word}: bad argument "${name ?? word}": need maptype:mapname`);
  }

  /** A table with an order of keys, in braces. */
  #certificateCheck(text: string, defaultCheck: string | undefined): Restriction {
    const parsed = parseCertificateTable(text);
    if (typeof parsed === 'string') {
      if (!this.#isQuiet) for (const line of parsed.split('\n')) this.#sources.warn(line);
      return trouble(`See earlier parsing error messages for '${text}`);
    }
    return checkCertificate(this.#table(parsed.table, defaultCheck), text, parsed.order);
  }

  #listCheck(word: string, check: ListCheck, list: string | undefined): Restriction {
    if (list === undefined) {
      const note = warning(`restriction ${word} requires domain name argument`);
      return () => ({ kind: 'dunno', notes: [note] });
    }
    try {
      return check(parseDnsList(list), word);
    } catch (error) {
      // In main.cf it keeps smtpd from starting; a table may say so later.
      if (!(error instanceof FatalError && this.#isQuiet)) throw error;
      return trouble(error.message);
    }
  }

  #policy(text: string | undefined, defaultCheck: string | undefined): Restriction {
    // In main.cf, one that is no server keeps smtpd from starting.
    if (text === undefined || (this.#isQuiet && !text.includes(':'))) {
      return trouble('restriction check_policy_service must be followed by transport:server');
    }
    const client = this.#policies.get(text) ?? this.#sources.openPolicy(text);
    this.#policies.set(text, client);
    return askPolicy(client, (restrictions) => this.#remember(restrictions, defaultCheck));
  }

  #table(name: string, defaultCheck: string | undefined): AccessTable {
    return {
      tables: this.#open(name),
      parents: this.#sources.parentDomains ? 'parents' : 'dot-parents',
      refer: (text) => this.#remember(text, defaultCheck),
    };
  }

  #open(name: string): TableList {
    const opened = this.#tables.get(name) ?? this.#sources.openTable(name);
    this.#tables.set(name, opened);
    return opened;
  }

  #class(name: string, defaultCheck: string | undefined): readonly Rule[] {
    const key = `${name} ${defaultCheck}`;
    const known = this.#classes.get(key);
    if (known !== undefined) return known;
    const members = this.#sources.classes.get(name) ?? '';
    if (members === '') throw new FatalError(`restriction class \`${name}' needs a definition`);
    const rules: Rule[] = [];
    // It may name itself: then that is this same list.
    this.#classes.set(key, rules);
    // It is read once as what it is, and once more for each kind of list that has it.
    rules.push(...this.#parseAgain(members, defaultCheck, defaultCheck !== undefined));
    return rules;
  }

  #parseAgain(text: string, defaultCheck: string | undefined, isQuiet: boolean): Rule[] {
    const before = this.#isQuiet;
    this.#isQuiet = before || isQuiet;
    const rules = this.#parseWords(splitList(text), defaultCheck);
    this.#isQuiet = before;
    return rules;
  }

  #remember(text: string, defaultCheck: string | undefined): readonly Rule[] {
    const key = `${text}\0${defaultCheck}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const rules = this.#parseAgain(text, defaultCheck, true);
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(key, rules);
    return rules;
  }
}

/** What stands behind one of these is never reached. */
const FINAL: ReadonlySet<string> = new Set(['permit', 'reject', 'defer', 'check_relay_domains']);

function followed(restriction: Restriction, word: string, next: string | undefined): Restriction {
  if (next === undefined) return restriction;
  const note = warning(`restriction \`${next}' after \`${word}' is ignored`);
  return async (facts, knowledge): Promise<Verdict> => {
    const verdict = await restriction(facts, knowledge);
    return { ...verdict, afterwards: [note], isHushable: word !== 'permit' } as Verdict;
  };
}

/** What makes no sense is refused whenever it is met. */
function trouble(text: string): Restriction {
  return () => serverError(text);
}

function own<T>(table: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(table, name) ? table[name] : undefined;
}
