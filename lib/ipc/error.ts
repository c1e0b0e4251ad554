/** A peer that broke the protocol, went away or took too long. The message names the peer. */
export class IpcError extends Error {
  override readonly name = 'IpcError';
}
