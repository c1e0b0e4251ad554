/** Shows master.cf: `-M`, `-F`, `-P`. */
import { MASTER_FIELDS, type MasterEntry } from '../../lib/config/master-cf.ts';
import { type Form, formOf } from './lines.ts';
import {
  formatEntry,
  formatFields,
  formatParameters,
  parseSelector,
  type Resolve,
  resolverFor,
  type Selector,
  selects,
} from './master-entries.ts';
import type { Mode, Request } from './request.ts';

const WANTED: Readonly<Record<string, string>> = {
  M: '-M option requires service_name[/type]',
  F: '-F option requires service_name[/type[/field]]',
  P: '-P option requires service_name[/type[/parameter]]',
};

/** The entries, in the order of the file. @throws {Error} with Postfix's text */
export function showMaster(
  request: Request,
  entries: readonly MasterEntry[],
  lookup: (name: string) => string | undefined,
  warn: (text: string) => void,
): string {
  const { mode, options, operands } = request;
  const form = formOf(options);
  const resolve = options.has('x') ? resolverFor(lookup) : undefined;
  const requests = (operands.length > 0 ? operands : ['*']).map((operand) => ({
    operand,
    selector: parseMasterRequest(mode, operand),
    matched: false,
  }));
  let text = '';
  for (const entry of entries) {
    for (const asked of requests) {
      if (!selects(asked.selector, entry)) continue;
      const shown = formatRequested(mode, entry, asked.selector.rest, form, resolve);
      text += shown;
      asked.matched ||= shown !== '';
      if (mode === 'M') break;
    }
  }
  for (const { operand, matched } of operands.length > 0 ? requests : []) {
    if (!matched) warn(`unmatched request: "${operand}"`);
  }
  return text;
}

function parseMasterRequest(mode: Mode, operand: string): Selector {
  const selector = parseSelector(operand, mode === 'M' ? 2 : 3);
  if (selector === undefined) throw new Error(WANTED[mode]);
  const { rest } = selector;
  if (mode === 'F' && rest !== undefined && ![...MASTER_FIELDS, '*'].some((f) => f === rest)) {
    throw new Error(`invalid service attribute name: "${rest}"`);
  }
  return selector;
}

function formatRequested(
  mode: Mode,
  entry: MasterEntry,
  rest: string | undefined,
  form: Form,
  resolve: Resolve | undefined,
): string {
  if (mode === 'M') return `${formatEntry(entry, form.fold, resolve)}\n`;
  if (mode === 'F') return formatFields(entry, rest, form, resolve);
  return formatParameters(entry, rest, form, resolve);
}
