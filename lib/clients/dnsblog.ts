import { connectPatiently, IMPATIENT } from '../ipc/connect-patiently.ts';
import type { IpcConnection } from '../ipc/connection.ts';
import { IpcError } from '../ipc/error.ts';
import { int, str } from '../ipc/fields.ts';

/** What a list says of a client. */
export interface ListAnswer {
  /** The addresses it answered with; none: not listed, or no answer. */
  readonly addresses: readonly string[];
  /** Seconds that the answer may be remembered; -1: nobody said. */
  readonly ttl: number;
}

export interface DnsblogOptions {
  /** `private/dnsblog` */
  readonly socketPath: string;
  /** postscreen_dnsbl_timeout. */
  readonly timeoutMs: number;
}

const REPLY = {
  domain: str.named('rbl_domain'),
  clientAddress: str.named('client_address'),
  label: int,
  addresses: str.named('rbl_addr'),
  ttl: int,
};

/** The list was not asked, or did not answer. The message is for the log. */
export class ListError extends Error {
  override readonly name = 'ListError';
}

/** Has dnsblog(8) ask one list about one client. ipc.md 3.17. @throws {ListError} no answer */
export async function askList(
  domain: string,
  clientAddress: string,
  options: DnsblogOptions,
): Promise<ListAnswer> {
  const { socketPath, timeoutMs } = options;
  let isConnected = false;
  try {
    const connection = await connectPatiently(socketPath, timeoutMs, { patience: IMPATIENT });
    isConnected = true;
    return await ask(connection, domain, clientAddress, options);
  } catch (error) {
    if (!(error instanceof IpcError)) throw error;
    const why = error.message.replace(/^connect to [^:]*: /, '');
    const text = isConnected
      ? `dnsblog reply for ${domain}: ${why}`
      : `psc_dnsbl_request: connect to ${socketPath} service: ${why}`;
    throw new ListError(text, { cause: error });
  }
}

async function ask(
  connection: IpcConnection,
  domain: string,
  clientAddress: string,
  { socketPath }: DnsblogOptions,
): Promise<ListAnswer> {
  try {
    await connection.send([
      ['rbl_domain', domain],
      ['client_address', clientAddress],
      ['label', 0],
    ]);
    const reply = await connection.receive(REPLY, { extra: true });
    if (reply === undefined) throw new IpcError(`no answer from ${socketPath} for ${domain}`);
    return { addresses: reply.addresses.split(' ').filter((word) => word !== ''), ttl: reply.ttl };
  } finally {
    connection.close();
  }
}
