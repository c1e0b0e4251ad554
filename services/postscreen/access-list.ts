/** postscreen_access_list: who is let through, or refused, without any test. postconf(5). */
import { splitList } from '../../lib/config/configuration.ts';
import { type MatchList, MatchListError } from '../../lib/config/match-list.ts';
import { type Table, TableError } from '../../lib/table/table.ts';

export type Access = 'permit' | 'reject' | 'dunno';

export interface AccessSurroundings {
  readonly mynetworks: MatchList;
  /** Opened once, by their names. */
  readonly tables: ReadonlyMap<string, Table>;
  readonly warn: (text: string) => void;
}

const NAME = 'postscreen_access_list';
const IGNORED = 'ignoring the remainder of this access list';

/** What the list says of a client. Trouble with it is no reason to treat anybody otherwise. */
export function evaluateAccess(
  list: readonly string[],
  address: string,
  surroundings: AccessSurroundings,
): Promise<Access> {
  return evaluate(list, NAME, address, surroundings);
}

async function evaluate(
  words: readonly string[],
  origin: string,
  address: string,
  surroundings: AccessSurroundings,
): Promise<Access> {
  const { mynetworks, warn } = surroundings;
  for (const word of words) {
    const command = word.toLowerCase();
    if (command === 'permit' || command === 'reject' || command === 'dunno') return command;
    if (command === 'permit_mynetworks') {
      const isOurs = await matches(mynetworks, address);
      if (isOurs) return 'permit';
      if (isOurs === undefined) {
        warn(`${origin}: ${word}: mynetworks lookup error -- ${IGNORED}`);
        return 'dunno';
      }
    } else if (word.includes(':')) {
      if (origin !== NAME) {
        const rest = 'ignoring remainder of access list';
        warn(`table ${origin}: lookup result "${word}" is not allowed -- ${rest}`);
        return 'dunno';
      }
      const answer = await askTable(word, address, surroundings);
      if (answer !== 'dunno') return answer === 'failed' ? 'dunno' : answer;
    } else {
      warn(`${origin}: unknown command: ${word} -- ${IGNORED}`);
      return 'dunno';
    }
  }
  return 'dunno';
}

async function matches(list: MatchList, address: string): Promise<boolean | undefined> {
  try {
    return (await list.matchAddress(address)).matched;
  } catch (error) {
    if (error instanceof MatchListError) return undefined;
    throw error;
  }
}

async function askTable(
  name: string,
  address: string,
  surroundings: AccessSurroundings,
): Promise<Access | 'failed'> {
  try {
    const found = await surroundings.tables.get(name)?.lookup(address);
    if (found === undefined) return 'dunno';
    return await evaluate(splitList(found), name, address, surroundings);
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
    surroundings.warn(`${NAME}: ${name}: table lookup error -- ${IGNORED}`);
    return 'failed';
  }
}
