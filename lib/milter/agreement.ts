/** What a milter and its client agree on before anything else. Pure. */
import { type MacroLists, STAGES } from './macros.ts';
import { FieldReader } from './packet.ts';
import { ACTIONS, EVENT_STEPS, type MacroStage, STEPS } from './protocol.ts';

export interface Agreement {
  readonly version: number;
  readonly actions: number;
  readonly steps: number;
  /** Events that the version does not have, as steps. */
  readonly missing: number;
  /** The lists of macros that it asked for. */
  readonly lists: MacroLists | undefined;
}

/** Milters have negotiated this; before that, nothing is agreed. */
export const NO_AGREEMENT: Agreement = {
  version: 0,
  actions: 0,
  steps: 0,
  missing: 0,
  lists: undefined,
};

/**
 * Reads a milter's answer to our offer of a version, and of all actions.
 *
 * @param warn is told what is odd, or why there is no agreement
 * @returns undefined when there is none
 * @throws {PacketError} when the answer is cut short
 */
export function parseAgreement(
  ours: number,
  data: Buffer,
  warn: (text: string) => void,
): Agreement | undefined {
  const fields = new FieldReader(data);
  const [version, actions, steps] = [fields.long(), fields.long(), fields.long()];
  const lists = readLists(fields, warn);
  if (version > ours) {
    warn(`protocol version ${version} conflict with MTA protocol version ${ours}`);
    return undefined;
  }
  const excess = (actions & ~ACTIONS) >>> 0;
  if (excess !== 0) {
    const mask = `0x${actions.toString(16)}`;
    warn(`request mask ${mask} conflict with MTA request mask 0x${ACTIONS.toString(16)}`);
    return undefined;
  }
  const known = Object.hasOwn(STEPS, version) ? (STEPS[version] as number) : undefined;
  if (known === undefined) warn(`unexpected protocol version ${version}`);
  const missing = known === undefined ? 0 : EVENT_STEPS & ~known;
  return { version, actions, steps, missing, lists };
}

const NO_MACROS: MacroLists = {
  connect: '',
  helo: '',
  mail: '',
  rcpt: '',
  data: '',
  endOfHeaders: '',
  endOfMessage: '',
  unknown: '',
};

function readLists(fields: FieldReader, warn: (text: string) => void): MacroLists | undefined {
  let lists: Partial<Record<MacroStage, string>> | undefined;
  while (fields.rest > 0) {
    const number = fields.long();
    const names = fields.string();
    const stage = STAGES[number];
    if (stage === undefined) warn(`ignoring unknown macro type ${number}`);
    else {
      lists ??= {};
      lists[stage] = names;
    }
  }
  return lists && { ...NO_MACROS, ...lists };
}
