/** Passing open descriptors from process to process, over a UNIX-domain stream socket. */
import { checked, OsError } from './error.ts';
import { addressOf, declare, lastError, nameOf } from './native.ts';

const sendmsg = declare('long sendmsg(int fd, void *message, int flags)');
const recvmsg = declare('long recvmsg(int fd, void *message, int flags)');

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x4000_0000;
const HEADER_BYTES = 16;
const CONTROL_BYTES = 24;

/** Sends a copy of `fd` with one byte, as Postfix does. @throws {OsError} EAGAIN: try again */
export function sendDescriptor(socketFd: number, fd: number): void {
  const { message, control, parts } = messageOf();
  control.writeBigUInt64LE(BigInt(HEADER_BYTES + 4), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  control.writeInt32LE(fd, HEADER_BYTES);
  checked(Number(sendmsg(socketFd, message, MSG_NOSIGNAL)), 'sendmsg', socketFd);
  parts.length = 0;
}

/**
 * Receives a descriptor that the peer has sent.
 *
 * @returns the descriptor, the caller's to close, or undefined when none has come yet
 * @throws {OsError} EBADMSG when the peer sent something else, or closed
 */
export function receiveDescriptor(socketFd: number): number | undefined {
  const { message, control, parts } = messageOf();
  const length = Number(recvmsg(socketFd, message, MSG_CMSG_CLOEXEC));
  parts.length = 0;
  if (length < 0) {
    const errno = lastError();
    if (nameOf(errno) === 'EAGAIN' || nameOf(errno) === 'EINTR') return undefined;
    throw new OsError('recvmsg', socketFd, errno);
  }
  const rights =
    control.readInt32LE(8) === SOL_SOCKET &&
    control.readInt32LE(12) === SCM_RIGHTS &&
    control.readBigUInt64LE(0) === BigInt(HEADER_BYTES + 4);
  if (length === 0 || !rights) throw new OsError('recvmsg', socketFd, EBADMSG);
  return control.readInt32LE(HEADER_BYTES);
}

const EBADMSG = 74;

/** A struct msghdr of one byte and room for one descriptor; `parts` keeps what it points to. */
function messageOf() {
  const byte = Buffer.alloc(1);
  const vector = Buffer.alloc(16);
  const control = Buffer.alloc(CONTROL_BYTES);
  const message = Buffer.alloc(56);
  vector.writeBigUInt64LE(addressOf(byte), 0);
  vector.writeBigUInt64LE(1n, 8);
  message.writeBigUInt64LE(addressOf(vector), 16);
  message.writeBigUInt64LE(1n, 24);
  message.writeBigUInt64LE(addressOf(control), 32);
  message.writeBigUInt64LE(BigInt(CONTROL_BYTES), 40);
  return { message, control, parts: [byte, vector] };
}
