/** What pickup asks cleanup to do. Pure. */
import { CLEANUP_FLAG } from '../../lib/clients/cleanup.ts';
import { splitList } from '../../lib/config/list.ts';

const { BOUNCE, FILTER, BCC_OK, MAP_OK, MILTER, AUTOUTF8, SMTPUTF8 } = CLEANUP_FLAG;

/** receive_override_options: what each takes away. */
const OVERRIDES: ReadonlyMap<string, number> = new Map([
  ['no_header_body_checks', FILTER],
  ['no_milters', MILTER],
  ['no_address_mappings', BCC_OK | MAP_OK],
  ['no_unknown_recipient_checks', 0],
]);

const NEW_MAIL = BOUNCE | FILTER | BCC_OK | MAP_OK | MILTER | AUTOUTF8;

/** @param overrides receive_override_options */
export function newMailFlags(overrides: string): number {
  let flags: number = NEW_MAIL;
  for (const word of splitList(overrides)) flags &= ~(OVERRIDES.get(word.toLowerCase()) ?? 0);
  return flags;
}

/** Mail that `postsuper -r` brought back: milters have seen it. */
export function requeuedFlags(overrides: string, smtputf8: boolean): number {
  return (newMailFlags(overrides) & ~(MILTER | AUTOUTF8)) | (smtputf8 ? SMTPUTF8 : 0);
}
