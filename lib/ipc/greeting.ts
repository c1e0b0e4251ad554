import type { IpcConnection } from './connection.ts';
import { IpcError } from './error.ts';
import { type Shape, str, type Values } from './fields.ts';

const PROTOCOL = { protocol: str };

/**
 * Receives a server's announcement, once per connection, before the first request.
 *
 * @throws {IpcError} when the server closes or speaks another protocol
 */
export async function expectProtocol(connection: IpcConnection, protocol: string): Promise<void> {
  await expectProtocolWith(connection, protocol, PROTOCOL);
}

/** The same for an announcement that says more; the shape has to begin with `protocol`. */
export async function expectProtocolWith<S extends Shape & typeof PROTOCOL>(
  connection: IpcConnection,
  protocol: string,
  shape: S,
): Promise<Values<S>> {
  const announced = await connection.receive(shape);
  if (announced === undefined) {
    throw new IpcError(
      `unexpected end-of-input from ${connection.peer} while reading input attribute name`,
    );
  }
  const name = (announced as { protocol: string }).protocol;
  if (name !== protocol) {
    const shown = name.slice(0, 100).replace(/[^\x20-\x7e]/g, '?');
    throw new IpcError(
      `unexpected protocol ${shown} from ${connection.peer} (expected: ${protocol})`,
    );
  }
  return announced;
}
