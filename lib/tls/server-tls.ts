/**
 * TLS of one server: what main.cf demands, the certificates, which are read while we are still root,
 * and the contexts made of them, which cost something and so wait for the first handshake.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isHostname } from '../dns/domain.ts';
import { IpcError } from '../ipc/error.ts';
import type { Log } from '../log/log.ts';
import { FileWatch } from '../server/file-watch.ts';
import type { ServiceContext } from '../server/service.ts';
import { type Found, openTables, TableError, type TableList } from '../table/table.ts';
import { readAuthorities } from './authorities.ts';
import { namesCertificates, readCertificates, whyUnreadable } from './certificates.ts';
import type { ClientHello } from './client-hello.ts';
import { type KeyPair, KeyPairError, readKeyPairs } from './key-pair.ts';
import { withoutTickets } from './openssl-options.ts';
import { isDigest } from './peer-certificate.ts';
import { TlsSettingError } from './protocols.ts';
import {
  createServerContext,
  knownGroups,
  type SecureContext,
  type ServerPolicy,
} from './server-context.ts';
import type { Settings } from './server-parameters.ts';
import {
  readCiphers,
  readGroups,
  readLogLevel,
  readOptions,
  readVersions,
  type TlsDemands,
} from './server-settings.ts';
import type { SessionWishes } from './session-facts.ts';
import type { Signature } from './signature.ts';
import { TicketKeyRing, type TlsManager } from './ticket-keys.ts';

/** What a client is going to be served with. */
export interface TlsChoice {
  readonly context: SecureContext;
  /** What its certificates sign with. */
  readonly keys: readonly Signature[];
  /** The name that it asked for, if that decided. */
  readonly serverName: string | undefined;
}

/** A handshake can't be had with this client; the text is for the log. */
export class TlsRefusal extends Error {
  override readonly name = 'TlsRefusal';
}

/** Contexts of names and ticket keys that are kept. */
const CONTEXTS_MAX = 200;
/** As long as sessions live when tlsmgr does not say. */
const SESSION_SECONDS = 3600;
const DEBUG_LEVEL = 2;

/** What a server is made with. */
export interface ServerTlsSurroundings {
  /** What main.cf says; a server that has parameters of its own for it gives their values. */
  readonly parameters: Settings;
  /** Whose sessions its clients may resume. */
  readonly serviceName: string;
  readonly log: Log;
  readonly tables: ServiceContext['tables'];
  readonly tlsmgr: TlsManager;
  /** What the log says when main.cf names no certificate. */
  readonly withoutCertificates?: string;
}

export class ServerTls {
  readonly demands: TlsDemands;
  readonly logLevel: number;
  readonly #settings: Settings;
  readonly #serviceName: string;
  readonly #log: Log;
  readonly #tlsmgr: TlsManager;
  readonly #ticketKeys: TicketKeyRing;
  readonly #names: TableList;
  /** `undefined`: something is wrong, and there is no TLS. */
  readonly #pairs: readonly KeyPair[] | undefined;
  readonly #authorities: readonly string[] = [];
  readonly #dhParameters: string = 'auto';
  readonly #contexts = new Map<string, Pick<TlsChoice, 'context' | 'keys'>>();
  readonly #options: number = 0;
  #policy: Promise<ServerPolicy> | undefined;
  #groups: readonly string[] = [];
  #wishes: SessionWishes | undefined;

  /** @param shakesHands false: no key is read, and nobody can */
  constructor(surroundings: ServerTlsSurroundings, demands: TlsDemands, shakesHands: boolean) {
    const { parameters, log, serviceName, tables, tlsmgr } = surroundings;
    this.#settings = parameters;
    this.#serviceName = serviceName;
    this.#log = log;
    this.demands = demands;
    this.logLevel = readLogLevel(parameters.smtpd_tls_loglevel);
    this.#tlsmgr = tlsmgr;
    this.#ticketKeys = new TicketKeyRing(tlsmgr, serviceName, log);
    const names = shakesHands ? parameters.tls_server_sni_maps : '';
    this.#names = openTables(names, {
      ...tables,
      valuesAreFiles: true,
      parameter: 'tls_server_sni_maps',
    });
    const warn = (text: string) => log.warn(text);
    if (!shakesHands) return;
    const named = namesCertificates(parameters);
    if (named === 'nothing' && demands.asksForCertificate) {
      warn('Need a server cert to request client certs');
    }
    if (named === 'nothing' || (named === 'none' && demands.asksForCertificate)) {
      warn(
        `No server certs available. TLS ${surroundings.withoutCertificates ?? "won't be enabled"}`,
      );
      return;
    }
    if (this.logLevel >= DEBUG_LEVEL) log.info('initializing the server-side TLS engine');
    const certificates = readCertificates(parameters, warn);
    const { smtpd_tls_dh1024_param_file: dhFile } = parameters;
    tables.watch(
      new FileWatch(
        'TLS certificate',
        [...certificates.files, dhFile].filter((file) => file !== ''),
      ),
    );
    try {
      this.#options = readOptions(parameters, readVersions(parameters, demands.level), warn);
      if (!isDigest(parameters.smtpd_tls_fingerprint_digest)) {
        warn(`Digest algorithm "${parameters.smtpd_tls_fingerprint_digest}" not found`);
        warn('disabling TLS support');
        return;
      }
      const trusted = readAuthorities(parameters, demands.asksForCertificate);
      if (typeof trusted === 'string') {
        log.info(`${trusted}: disabling TLS support`);
        return;
      }
      this.#authorities = trusted;
      if (certificates.trouble !== undefined) throw new TlsSettingError(certificates.trouble);
    } catch (error) {
      warn(`${(error as Error).message}: disabling TLS support`);
      return;
    }
    this.#pairs = certificates.pairs;
    this.#dhParameters = readDhParameters(dhFile, warn);
    this.#groups = knownGroups(readGroups(parameters), warn);
  }

  /** Without it, clients that ask for TLS are told to come back. */
  get isUsable(): boolean {
    return this.#pairs !== undefined;
  }

  /** What describes a session needs to know of us. */
  get wishes(): SessionWishes {
    this.#wishes ??= {
      groups: this.#groups,
      digest: this.#settings.smtpd_tls_fingerprint_digest,
      verifyDepth: this.#settings.smtpd_tls_ccert_verifydepth,
      asksForCertificate: this.demands.asksForCertificate,
      isDetailed: this.logLevel > 0 || this.#settings.smtpd_tls_received_header,
    };
    return this.#wishes;
  }

  /**
   * Chooses what a client is served with.
   *
   * @param client as the log names it
   * @throws {TlsRefusal}
   */
  async choose(hello: ClientHello | undefined, client: string): Promise<TlsChoice> {
    this.#policy ??= this.#readPolicy();
    try {
      const policy = await this.#policy;
      if (this.logLevel >= DEBUG_LEVEL) {
        this.#log.info(`${client}: TLS cipher list "${policy.ciphers}"`);
      }
      const found = await this.#certificatesFor(hello?.serverName, client);
      const ticket = await this.#ticketKeys.keyFor(hello?.ticketName);
      const id = `${ticket.id}:${ticket.expires}:${found?.id ?? ''}`;
      const known =
        this.#contexts.get(id) ??
        this.#make(id, policy, found?.pairs() ?? this.#pairs ?? [], ticket.key);
      const { context, keys } = known;
      return { context, keys, serverName: found && hello?.serverName };
    } catch (error) {
      if (error instanceof TlsRefusal) throw error;
      // The next client may have more luck, or the administrator see it again.
      this.#policy = undefined;
      throw new TlsRefusal(`${client}: ${(error as Error).message}`);
    }
  }

  close(): void {
    this.#tlsmgr.close();
  }

  #make(id: string, policy: ServerPolicy, pairs: readonly KeyPair[], ticketKey: Buffer) {
    const context = createServerContext(policy, pairs, ticketKey);
    const made = { context, keys: pairs.map(({ signature }) => signature) };
    this.#contexts.set(id, made);
    for (const oldest of this.#contexts.keys()) {
      if (this.#contexts.size <= CONTEXTS_MAX) break;
      this.#contexts.delete(oldest);
    }
    return made;
  }

  async #readPolicy(): Promise<ServerPolicy> {
    const settings = this.#settings;
    const seconds = await this.#sessionSeconds();
    return {
      options: seconds > 0 ? this.#options : withoutTickets(this.#options),
      ciphers: readCiphers(settings, this.demands),
      groups: this.#groups,
      dhParameters: this.#dhParameters,
      authorities: this.#authorities,
      sessionContext: createHash('md5').update(`smtpd:${this.#serviceName}`).digest('hex'),
      sessionSeconds: Math.max(seconds, 1),
    };
  }

  async #sessionSeconds(): Promise<number> {
    try {
      return (await this.#tlsmgr.policy('smtpd')).timeoutSeconds;
    } catch (error) {
      if (error instanceof IpcError) return SESSION_SECONDS;
      throw error;
    }
  }

  /** The certificates of a name: of itself, or of a domain that it is in. */
  async #certificatesFor(
    name: string | undefined,
    client: string,
  ): Promise<{ id: string; pairs: () => KeyPair[] } | undefined> {
    if (name === undefined || this.#names.tables.length === 0) return undefined;
    if (!isHostname(name) || name.endsWith('.')) {
      this.#log.warn(`TLS SNI from ${client} is invalid: ${name}`);
      return undefined;
    }
    const found = await this.#lookupName(name.toLowerCase());
    if (found === undefined) {
      if (this.logLevel > 0) {
        this.#log.info(`TLS SNI ${name} from ${client} not matched, using default chain`);
      }
      return undefined;
    }
    const id = createHash('sha256').update(found.value).digest('hex');
    return { id, pairs: () => this.#readNamed(name, found.value) };
  }

  async #lookupName(name: string): Promise<Found | undefined> {
    try {
      for (let key = name; ; ) {
        const found = await this.#names.lookup(key, key !== name);
        const dot = key.indexOf('.', 1);
        if (found !== undefined || dot < 0) return found;
        key = key.slice(dot);
      }
    } catch (error) {
      if (error instanceof TableError)
        throw new TlsRefusal(`tls_server_sni_maps: ${error.message}`);
      throw error;
    }
  }

  #readNamed(name: string, value: string): KeyPair[] {
    const source = `SNI data for ${name}`;
    try {
      return readKeyPairs([
        { name: source, text: Buffer.from(value, 'base64').toString('latin1') },
      ]);
    } catch (error) {
      if (!(error instanceof KeyPairError)) throw error;
      this.#log.warn(error.message);
      throw new TlsRefusal(
        `error loading private keys and certificates from: ${source}: aborting TLS handshake`,
      );
    }
  }
}

function readDhParameters(file: string, warn: (text: string) => void): string {
  if (file === '' || file.toLowerCase() === 'auto') return 'auto';
  const defaults = '-- using compiled-in defaults';
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    warn(`error opening DH parameter file "${file}": ${whyUnreadable(file)} ${defaults}`);
    return 'auto';
  }
  const found = /-----BEGIN DH PARAMETERS-----[\s\S]*?-----END DH PARAMETERS-----/.exec(text)?.[0];
  if (found !== undefined) return found;
  warn(`error decoding DH parameters from file "${file}" ${defaults}`);
  return 'auto';
}
