/**
 * RFC 3463 statuses of addresses, `x.1.N`. A table entry may be used for senders, recipients and
 * clients: its status is made to fit whom it is about. smtp-replies.md section 6. Pure.
 */
import { CLASS, type Note, type SubjectKind } from './verdict.ts';

const ADDRESS_STATUS = /^([245])\.1\.(\d{1,3})$/;

/** What the last digit becomes; all others become 0. */
const DIGITS: Readonly<Partial<Record<SubjectKind, Readonly<Record<number, number>>>>> = {
  sender: { 1: 7, 2: 8, 3: 7, 4: 7, 5: 0, 6: 7, 7: 7, 8: 8 },
  recipient: { 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 3, 8: 2 },
};

/** @returns the status to use, and what the log says when that is another */
export function adaptStatus(status: string, kind: SubjectKind): { status: string; notes: Note[] } {
  const [, first, digit] = ADDRESS_STATUS.exec(status) ?? [];
  if (first === undefined) return { status, notes: [] };
  const digits = DIGITS[kind];
  // A client has no address that could be wrong.
  const adapted =
    digits === undefined ? `${first}.0.0` : `${first}.1.${digits[Number(digit)] ?? 0}`;
  if (adapted === status) return { status, notes: [] };
  const text = `mapping DSN status ${status} into ${CLASS[kind]} status ${adapted}`;
  return { status: adapted, notes: [{ severity: 'info', text }] };
}
