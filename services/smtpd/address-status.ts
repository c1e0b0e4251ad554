/**
 * RFC 3463 statuses of addresses, `x.1.N`. A table entry may be used for senders and for recipients:
 * its status is made to fit whom it is about. smtp-replies.md section 6. Pure.
 */
import type { Note } from './verdict.ts';

const ADDRESS_STATUS = /^([245])\.1\.(\d{1,3})$/;

/** What the last digit becomes; all others become 0. */
const DIGITS = {
  sender: { 1: 7, 2: 8, 3: 7, 4: 7, 5: 0, 6: 7, 7: 7, 8: 8 },
  recipient: { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 3, 8: 2 },
} as const satisfies Record<string, Readonly<Record<number, number>>>;

const NAMES = { sender: 'Sender address', recipient: 'Recipient address' } as const;

/** @returns the status to use, and what the log says when that is another */
export function adaptStatus(
  status: string,
  party: keyof typeof DIGITS,
): { status: string; note?: Note } {
  const [, kind, digit] = ADDRESS_STATUS.exec(status) ?? [];
  if (kind === undefined) return { status };
  const digits: Readonly<Record<number, number>> = DIGITS[party];
  const adapted = `${kind}.1.${digits[Number(digit)] ?? 0}`;
  if (adapted === status) return { status };
  const text = `mapping DSN status ${status} into ${NAMES[party]} status ${adapted}`;
  return { status: adapted, note: { severity: 'info', text } };
}
