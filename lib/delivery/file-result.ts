/** What came of work on a recipient's files. Results travel between threads: plain values. */
import type { Status } from '../dsn/status.ts';
import { errorText, isErrno } from '../os/error.ts';

export type FileResult =
  | {
      readonly kind: 'delivered';
      /** Where the message starts in the file, in bytes. */
      readonly offset?: number;
      readonly warnings?: readonly string[];
    }
  /** Somebody holds the lock: try again in a while. */
  | { readonly kind: 'busy'; readonly text: string; readonly warnings?: readonly string[] }
  | FileFailure;

export interface FileFailure {
  readonly kind: 'failed';
  readonly status: Status<4> | Status<5>;
  readonly text: string;
  /** What an administrator should read in the log besides. */
  readonly warnings?: readonly string[];
  /** It is the queue file that is damaged. */
  readonly corrupt?: true;
}

/** Trouble with the machine rather than with the recipient: it may pass. */
const MACHINE_TROUBLE = ['EIO', 'EROFS', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'ENOBUFS'];

/**
 * The DSN status of a failed file operation. Postfix: mbox_dsn(3).
 *
 * @param fallback for what is the recipient's own trouble
 */
export function fileStatus(error: unknown, fallback: Status<4> | Status<5>): Status<4> | Status<5> {
  if (isErrno(error, 'EAGAIN', 'ESTALE', 'EINTR')) return '4.2.0';
  if (isErrno(error, ...MACHINE_TROUBLE)) return '4.3.0';
  if (isErrno(error, 'EFBIG', 'EDQUOT')) return '5.2.2';
  return fallback;
}

/** A failure told as `{what}: {why}`. */
export function fileFailure(
  error: unknown,
  what: string,
  fallback: Status<4> | Status<5> = '5.2.0',
): FileFailure {
  return {
    kind: 'failed',
    status: fileStatus(error, fallback),
    text: `${what}: ${errorText(error)}`,
  };
}
