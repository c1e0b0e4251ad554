/**
 * *_delivery_status_filter: tables that replace the status and the text of a delivery. What went
 * well can't be made a failure, nor the other way round.
 */
import { isStatus, type Status } from '../dsn/status.ts';
import type { TableContext } from '../table/definition.ts';
import { openTables, TableError, type TableList } from '../table/table.ts';
import type { Outcome } from './outcome.ts';

export interface StatusFilter {
  (outcome: Outcome): Promise<Outcome>;
  close(): void;
}

/** Agents that have one; error and discard say what they were told to say. */
const PARAMETERS: ReadonlyMap<string, string> = new Map([
  ['lmtp', 'lmtp_delivery_status_filter'],
  ['local', 'local_delivery_status_filter'],
  ['pipe', 'pipe_delivery_status_filter'],
  ['smtp', 'smtp_delivery_status_filter'],
  ['virtual', 'virtual_delivery_status_filter'],
]);

/** @returns `undefined` when there is nothing to filter */
export function openStatusFilter(
  agent: string,
  context: TableContext & {
    readonly configuration: { text(name: string): string };
    readonly log: { warn(text: string): void };
  },
): StatusFilter | undefined {
  const parameter = PARAMETERS.get(agent);
  if (parameter === undefined) return undefined;
  const text = context.configuration.text(parameter);
  if (text.trim() === '') return undefined;
  const tables = openTables(text, { ...context, parameter });
  const warn = (warning: string) => context.log.warn(warning);
  return Object.assign((outcome: Outcome) => filtered(outcome, tables, warn), {
    close: () => tables.close(),
  });
}

async function filtered(
  outcome: Outcome,
  tables: TableList,
  warn: (text: string) => void,
): Promise<Outcome> {
  const answer = await lookup(tables, `${outcome.status} ${outcome.text}`);
  if (answer === undefined) return outcome;
  const changed = parseAnswer(answer, outcome);
  if (changed !== undefined) return changed;
  warn(`${tables.parameter}: bad status code: ${answer}`);
  return outcome;
}

async function lookup(tables: TableList, key: string): Promise<string | undefined> {
  try {
    return (await tables.lookup(key))?.value;
  } catch (error) {
    // Logged by the tables; what happened to the mail is true all the same.
    if (error instanceof TableError) return undefined;
    throw error;
  }
}

/** `4.7.5 text`, where what it replaces may be `5.7.5 other text`. Pure. */
function parseAnswer(answer: string, outcome: Outcome): Outcome | undefined {
  const [, status = '', words = ''] = /^\s*(\S*)\s*(.*)$/s.exec(answer) ?? [];
  if (!isStatus(status)) return undefined;
  // A status alone leaves the text as it is.
  const text = words || outcome.text;
  const { relay, connUse, diagnostic, remoteMta } = outcome;
  const detail = { text, relay, connUse, diagnostic, remoteMta };
  if (outcome.kind === 'sent') {
    return status.startsWith('2') ? { ...outcome, status: status as Status<2>, text } : undefined;
  }
  if (status.startsWith('4')) return { kind: 'deferred', status: status as Status<4>, ...detail };
  if (status.startsWith('5')) return { kind: 'bounced', status: status as Status<5>, ...detail };
  return undefined;
}
