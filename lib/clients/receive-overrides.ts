/** receive_override_options: what whoever receives mail does not ask cleanup for. Pure. */
import { splitList } from '../config/list.ts';
import { FatalError } from '../log/fatal.ts';
import { CLEANUP_FLAG } from './cleanup.ts';

const { FILTER, BCC_OK, MAP_OK, MILTER } = CLEANUP_FLAG;

/** What each takes away. */
const OVERRIDES: ReadonlyMap<string, number> = new Map([
  ['no_header_body_checks', FILTER],
  ['no_milters', MILTER],
  ['no_address_mappings', BCC_OK | MAP_OK],
  ['no_unknown_recipient_checks', 0],
]);

/** The CLEANUP_FLAG bits that are left. @throws {FatalError} with Postfix's text */
export function receiveMask(options: string): number {
  let mask = -1;
  for (const word of splitList(options)) mask &= ~bitsOf(word, options);
  return mask;
}

/** Whether an option is among them. */
export function overrides(options: string, name: string): boolean {
  return splitList(options).includes(name);
}

function bitsOf(word: string, options: string): number {
  const bits = OVERRIDES.get(word);
  if (bits !== undefined) return bits;
  throw new FatalError(`unknown receive_override_options value "${word}" in "${options}"`);
}
