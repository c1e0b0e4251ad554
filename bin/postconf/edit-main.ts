/** Edits of main.cf: pure, from the old text to the new one. */
import { parseAssignment } from '../../lib/config/main-cf.ts';
import { checkOperand, commentOut, commentsOf, parseBlocks } from './edit-file.ts';
import type { Action } from './request.ts';

export interface MainEdit {
  readonly action: Exclude<Action, 'show'>;
  /** What to set, or undefined for the names to remove or comment out. */
  readonly settings: ReadonlyMap<string, string | undefined>;
}

/** @throws {Error} with Postfix's text */
export function parseMainEdit(
  action: MainEdit['action'],
  operands: readonly string[],
  warn: (text: string) => void,
): MainEdit {
  const settings = new Map<string, string | undefined>();
  for (const operand of operands) {
    checkOperand(operand);
    const [name, value] = action === 'set' ? assignment(operand) : [operand.trim(), undefined];
    if (name === '') throw new Error('-X or -# requires non-blank parameter names');
    if (settings.has(name) && value !== undefined) {
      warn(`ignoring earlier request: '${name} = ${settings.get(name) ?? ''}'`);
    }
    settings.set(name, value);
  }
  return { action, settings };
}

function assignment(operand: string): [string, string] {
  const { name, value } = parseAssignment(operand, (why) => {
    throw new Error(why);
  });
  return [name, value];
}

/** The new main.cf. New names go to the end; comments never move. */
export function editMain(text: string, edit: MainEdit, warn: (text: string) => void): string {
  const seen = new Set<string>();
  let result = '';
  for (const block of parseBlocks(text)) {
    const name = /^([^\s=][^=]*?)\s*=/.exec(block.text ?? '')?.[1];
    if (name === undefined || !edit.settings.has(name)) {
      result += block.lines.join('');
      continue;
    }
    if (seen.has(name)) warn(name);
    seen.add(name);
    if (edit.action === 'comment') result += commentOut(block);
    else if (edit.action === 'remove') result += commentsOf(block);
    else result += `${name} = ${edit.settings.get(name)}\n${commentsOf(block)}`;
  }
  if (edit.action !== 'set') return result;
  const added = [...edit.settings].filter(([name]) => !seen.has(name));
  return result + added.map(([name, value]) => `${name} = ${value}\n`).join('');
}
