/** What pickup asks cleanup to do. Pure. */
import { CLEANUP_FLAG } from '../../lib/clients/cleanup.ts';
import { receiveMask } from '../../lib/clients/receive-overrides.ts';

const { BOUNCE, FILTER, BCC_OK, MAP_OK, MILTER, AUTOUTF8, SMTPUTF8 } = CLEANUP_FLAG;

const NEW_MAIL = BOUNCE | FILTER | BCC_OK | MAP_OK | MILTER | AUTOUTF8;

/** @param overrides receive_override_options */
export function newMailFlags(overrides: string): number {
  return NEW_MAIL & receiveMask(overrides);
}

/** Mail that `postsuper -r` brought back: milters have seen it. */
export function requeuedFlags(overrides: string, smtputf8: boolean): number {
  return (newMailFlags(overrides) & ~(MILTER | AUTOUTF8)) | (smtputf8 ? SMTPUTF8 : 0);
}
