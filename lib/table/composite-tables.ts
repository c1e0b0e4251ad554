/** Tables made of other tables: unionmap, pipemap; and randmap, made of values. */
import { itemsOf } from './braces.ts';
import { type Answer, type Table, type TableContext, TableOpenError } from './definition.ts';
import { plainTable } from './small-tables.ts';

/** Opens the tables inside; it must be told how, or this file would know every type. */
export type OpenMember = (name: string, context: TableContext) => Table;

/** `unionmap:{t:n, ...}`: the answers of all, joined by commas. */
export function openUnion(text: string, context: TableContext, open: OpenMember): Table {
  const members = openMembers('unionmap', text, context, open);
  const lookup = (key: string): Answer => {
    const answers = members.map((member) => member.lookup(key));
    return answers.some(isPromise) ? Promise.all(answers).then(join) : join(answers as Known[]);
  };
  return compose(`unionmap:${text}`, members, lookup);
}

/** `pipemap:{t:n, ...}`: the answer of one is the question to the next. */
export function openPipe(text: string, context: TableContext, open: OpenMember): Table {
  const members = openMembers('pipemap', text, context, open);
  const ask = (key: string, from: number): Answer => {
    let value = key;
    for (let at = from; at < members.length; at += 1) {
      const answer = members[at]?.lookup(value);
      if (isPromise(answer)) {
        return answer.then((found) => (found === undefined ? undefined : ask(found, at + 1)));
      }
      if (answer === undefined) return undefined;
      value = answer;
    }
    return value;
  };
  return compose(`pipemap:${text}`, members, (key) => ask(key, 0));
}

/** `randmap:{a, b}`: one of the values, whatever is asked. */
export function openRandom(text: string): Table {
  const values = itemsOf('randmap', text, 'value');
  const lookup = () => values[Math.floor(Math.random() * values.length)];
  return { ...plainTable(`randmap:${text}`, lookup), pattern: true };
}

type Known = string | undefined;

function isPromise(answer: Answer): answer is Promise<Known> {
  return typeof answer === 'object';
}

function join(answers: readonly Known[]): Known {
  const found = answers.filter((answer) => answer !== undefined);
  return found.length === 0 ? undefined : found.join(',');
}

function openMembers(type: string, text: string, context: TableContext, open: OpenMember): Table[] {
  const names = itemsOf(type, text, 'type:name');
  if (names.some((name) => !name.includes(':'))) {
    throw new TableOpenError(`bad syntax: "${type}:${text}"; need "${type}:{type:name...}"`);
  }
  const members: Table[] = [];
  try {
    for (const name of names) members.push(open(name, context));
    return members;
  } catch (error) {
    for (const member of members) member.close();
    throw error;
  }
}

function compose(name: string, members: readonly Table[], lookup: (key: string) => Answer): Table {
  return {
    name,
    pattern: members.every((member) => member.pattern),
    mayStall: members.some((member) => member.mayStall),
    mayStallForLong: members.some((member) => member.mayStallForLong),
    lookup,
    changed: () => members.some((member) => member.changed()),
    close: () => {
      for (const member of members) member.close();
    },
  };
}
