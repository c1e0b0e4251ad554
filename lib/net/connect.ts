import { once } from 'node:events';
import { connect, type OnReadOpts, type Socket, type TcpSocketConnectOpts } from 'node:net';
import { withDeadline } from '../async/deadline.ts';

/** One place to connect to: never a name, so that what is connected to is what was decided. */
export type HostAddress =
  | { readonly address: string; readonly port: number }
  | { readonly path: string };

export interface ConnectLimits {
  /** Longest wait in milliseconds; 0 leaves it to the operating system. */
  readonly connectMs: number;
  readonly stopping?: AbortSignal;
  /** The address to connect from; absent: the operating system's choice. */
  readonly localAddress?: string;
  /** Reads without a stream: then `pause` leaves in the socket what has not been read yet. */
  readonly onRead?: OnReadOpts;
}

/**
 * Connects to a mail host, the one way out of the machine. The caller owns the socket; when this
 * throws there is none. The socket has no error listener left: add one before the next turn.
 *
 * @throws what `describeTrouble` puts into words
 */
export async function connectTo(host: HostAddress, limits: ConnectLimits): Promise<Socket> {
  const onread = limits.onRead === undefined ? undefined : { onread: limits.onRead };
  const socket = connect(
    'path' in host ? { path: host.path, ...onread } : { ...inetOptions(host, limits), ...onread },
  );
  try {
    const connected = (signal?: AbortSignal) => once(socket, 'connect', { signal });
    if (limits.connectMs > 0) {
      await withDeadline(limits.connectMs, limits.stopping, connected);
    } else {
      await connected(limits.stopping);
    }
    return socket;
  } catch (error) {
    socket.on('error', () => {});
    socket.destroy();
    throw error;
  }
}

function inetOptions(
  host: { readonly address: string; readonly port: number },
  limits: ConnectLimits,
): TcpSocketConnectOpts {
  return {
    host: host.address,
    port: host.port,
    noDelay: true,
    // Node would race all addresses of a name; we are given exactly one.
    autoSelectFamily: false,
    ...(limits.localAddress === undefined ? {} : { localAddress: limits.localAddress }),
  };
}
