/** Makes connections to hosts, from the right address. */
import type { Socket } from 'node:net';
import type { OwnAddress } from '../../lib/config/networks.ts';
import { connectTo } from '../../lib/net/connect.ts';
import { describeTrouble } from '../../lib/net/trouble.ts';
import type { Host } from './host-choice.ts';
import { type ReplyFilter, SmtpSession } from './session.ts';
import type { Settings } from './settings.ts';
import { ownTrouble, type Peer, type Trouble } from './trouble.ts';

/** One thing to connect to. */
export type Endpoint = (Host & { readonly port: number }) | { readonly path: string };

export interface ConnectorOptions {
  readonly settings: Settings;
  /** Our addresses, when inet_interfaces names them one by one. */
  readonly interfaces: readonly OwnAddress[];
  /** smtp_reply_filter for what a server says. */
  readonly replyFilter?: ((peer: Peer) => ReplyFilter) | undefined;
  onOddity(text: string): void;
}

/** The address to connect from is none of ours. */
function isBindTrouble(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).syscall === 'bind';
}

export class Connector {
  readonly #options: ConnectorOptions;

  constructor(options: ConnectorOptions) {
    this.#options = options;
  }

  /** Names an endpoint in the session cache. */
  keyOf(endpoint: Endpoint): string {
    return 'path' in endpoint ? `unix ${endpoint.path}` : `${endpoint.address} ${endpoint.port}`;
  }

  /** @returns a session whose greeting is still to come, or why there is none */
  async connect(endpoint: Endpoint): Promise<SmtpSession | Trouble> {
    const { settings, onOddity } = this.#options;
    const peer = this.#peerOf(endpoint);
    try {
      const socket = await this.#connect(endpoint);
      return new SmtpSession(socket, peer, {
        lineLengthMax: settings.lineLengthMax,
        utf8: settings.utf8,
        keepsTranscript: settings.keepsTranscript,
        replyFilter: this.#options.replyFilter?.(peer),
        onOddity,
      });
    } catch (error) {
      if (isBindTrouble(error)) return ownTrouble('4.4.0', 'server configuration error');
      return ownTrouble('4.4.1', `connect to ${peer.relay}: ${describeTrouble(error)}`);
    }
  }

  /** From the configured address; from any when that can't be had, unless it must be that one. */
  async #connect(endpoint: Endpoint): Promise<Socket> {
    const { settings, onOddity } = this.#options;
    const { connectMs } = settings;
    const localAddress = 'path' in endpoint ? undefined : this.#localAddress(endpoint);
    try {
      return await connectTo(endpoint, { connectMs, localAddress });
    } catch (error) {
      if (localAddress === undefined || !isBindTrouble(error)) throw error;
      onOddity(`smtp_connect_addr: bind ${localAddress}: ${describeTrouble(error)}`);
      if (settings.bindAddressEnforce) throw error;
      return connectTo(endpoint, { connectMs });
    }
  }

  #peerOf(endpoint: Endpoint): Peer {
    if ('path' in endpoint) {
      const name = this.#options.settings.myhostname;
      const label = `${name}[${endpoint.path}]`;
      return { name, label, relay: label };
    }
    const label = `${endpoint.name}[${endpoint.address}]`;
    return { name: endpoint.name, label, relay: `${label}:${endpoint.port}` };
  }

  /** The configured address; else the only one that a virtual host listens on. */
  #localAddress({ family }: Host): string | undefined {
    const { settings, interfaces } = this.#options;
    const configured = family === 4 ? settings.bindAddress : settings.bindAddress6;
    if (configured !== '') return configured;
    const own = interfaces.filter((address) => address.family === family);
    const [only] = own;
    if (own.length !== 1 || only === undefined) return undefined;
    return only.address === '::1' || only.address.startsWith('127.') ? undefined : only.address;
  }
}
