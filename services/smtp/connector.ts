/** Makes connections to hosts, from the right address. */
import type { OwnAddress } from '../../lib/config/networks.ts';
import { connectTo } from '../../lib/net/connect.ts';
import { describeTrouble } from '../../lib/net/trouble.ts';
import type { Host } from './host-choice.ts';
import { SmtpSession } from './session.ts';
import type { Settings } from './settings.ts';
import { ownTrouble, type Peer, type Trouble } from './trouble.ts';

/** One thing to connect to. */
export type Endpoint = (Host & { readonly port: number }) | { readonly path: string };

export interface ConnectorOptions {
  readonly settings: Settings;
  /** Our addresses, when inet_interfaces names them one by one. */
  readonly interfaces: readonly OwnAddress[];
  onOddity(text: string): void;
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
      const socket = await connectTo(endpoint, {
        connectMs: settings.connectMs,
        localAddress: 'path' in endpoint ? undefined : this.#localAddress(endpoint),
      });
      return new SmtpSession(socket, peer, {
        lineLengthMax: settings.lineLengthMax,
        utf8: settings.utf8,
        onOddity,
      });
    } catch (error) {
      return ownTrouble('4.4.1', `connect to ${peer.relay}: ${describeTrouble(error)}`);
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
