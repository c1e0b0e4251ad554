/**
 * What the bits of cleanup's flags and status mean to it. ipc.md 3.1.
 */
import { CLEANUP_FLAG, CLEANUP_STATUS } from '../../lib/clients/cleanup.ts';

export { CLEANUP_FLAG as FLAG, CLEANUP_STATUS as STATUS } from '../../lib/clients/cleanup.ts';

/** What a client may still ask for behind `flags`: record `f`. */
export const EXTRA_FLAGS: number = CLEANUP_FLAG.HOLD | CLEANUP_FLAG.DISCARD;

/** The message did not arrive whole: there is nothing to keep. */
export const INCOMPLETE: number =
  CLEANUP_STATUS.BAD | CLEANUP_STATUS.WRITE | CLEANUP_STATUS.SIZE | CLEANUP_STATUS.DEFER;

/** Trouble that a notice to the sender does not settle. */
export const CANNOT_BOUNCE: number =
  CLEANUP_STATUS.BAD | CLEANUP_STATUS.WRITE | CLEANUP_STATUS.DEFER | CLEANUP_STATUS.RCPT;

export interface StatusDetail {
  readonly status: string;
  readonly text: string;
}

/** Of several bits the first in this order counts. */
const DETAILS: readonly (readonly [bit: number, detail: StatusDetail])[] = [
  [CLEANUP_STATUS.DEFER, { status: '4.7.1', text: 'service unavailable' }],
  [CLEANUP_STATUS.BAD, { status: '4.3.0', text: 'internal protocol error' }],
  [CLEANUP_STATUS.RCPT, { status: '5.1.0', text: 'no recipients specified' }],
  [CLEANUP_STATUS.HOPS, { status: '5.4.0', text: 'too many hops' }],
  [CLEANUP_STATUS.SIZE, { status: '5.3.4', text: 'message file too big' }],
  [CLEANUP_STATUS.CONT, { status: '5.7.1', text: 'message content rejected' }],
  [CLEANUP_STATUS.WRITE, { status: '4.3.0', text: 'queue file write error' }],
];

/** What a status means, as a DSN status and a text. */
export function statusDetail(status: number): StatusDetail {
  const found = DETAILS.find(([bit]) => (status & bit) !== 0);
  return found?.[1] ?? { status: '4.3.0', text: 'unknown error' };
}
