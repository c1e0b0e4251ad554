/** What a client hears who is on a list: rbl_reply_maps and default_rbl_reply. */
import { ExpansionError } from '../../lib/config/expand.ts';
import { TableError } from '../../lib/table/table.ts';
import type { DnsList } from './dns-list.ts';
import { expandReply, type Macros, sessionMacros } from './reply-macros.ts';
import type { Facts, Knowledge, Settings } from './rule.ts';
import {
  CLASS,
  type Note,
  reject,
  type Subject,
  serverError,
  type Verdict,
  warning,
} from './verdict.ts';

const REASON_MAX = 500;
const CODED = /^([45]\d\d) (?:([245]\.\d{1,3}\.\d{1,3})(?: +|$))?(.*)$/s;

export async function listReply(
  list: DnsList,
  subject: Subject,
  texts: readonly string[],
  facts: Facts,
  knowledge: Knowledge,
): Promise<Verdict> {
  const { settings, listReplies } = knowledge;
  // Each byte that is not ASCII becomes a blank, as in Postfix.
  const bytes = Buffer.from(texts.join(' / ')).toString('latin1');
  const reason = bytes.replace(/[^\x20-\x7e]/g, ' ').slice(0, REASON_MAX);
  const macros = {
    ...sessionMacros(facts, settings),
    rbl_code: String(settings.maps_rbl_reject_code),
    rbl_domain: list.domain,
    rbl_reason: reason,
    rbl_txt: reason,
    rbl_what: subject.name,
    rbl_class: CLASS[subject.kind],
  };
  const notes: Note[] = [];
  try {
    const own = await listReplies.lookup(list.text);
    const templates = [...(own === undefined ? [] : [own.value]), settings.default_rbl_reply];
    for (const template of templates) {
      const text = expanded(template, macros, settings, list, notes);
      if (text !== undefined) return replyFrom(text, notes);
    }
  } catch (error) {
    if (!(error instanceof TableError)) throw error;
  }
  return { ...serverError(), notes };
}

/** @returns `undefined` when the template is malformed; the log says so */
function expanded(
  template: string,
  macros: Macros,
  settings: Settings,
  { domain }: DnsList,
  notes: Note[],
): string | undefined {
  try {
    const warn = (text: string) => notes.push(warning(text));
    return expandReply(template, { macros, settings, warn });
  } catch (error) {
    if (!(error instanceof ExpansionError)) throw error;
    const what = `rbl_reject_reply: bad rbl reply template for domain ${domain}: ${template}`;
    notes.push(warning(error.message.replace(/".*"$/s, `"${template}"`)), warning(what));
    return undefined;
  }
}

function replyFrom(text: string, notes: readonly Note[]): Verdict {
  const [, code, status = '4.7.1', rest = ''] = CODED.exec(text) ?? [];
  if (code !== undefined)
    return reject(Number(code), status, rest || 'Service unavailable', { notes });
  const note = warning(`rbl response code configuration error: ${text}`);
  return reject(450, '4.7.1', 'Service unavailable', { notes: [...notes, note] });
}
