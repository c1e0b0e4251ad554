/**
 * Which named attributes local users may give a message. Pure.
 */

const ENCODINGS = new Set(['7bit', '8bit', '']);
const CONTEXTS = new Set(['local', 'remote']);
const FREE = new Set([
  'envelope_id',
  'ret_flags',
  'notify_flags',
  'dsn_orig_rcpt',
  'create_time',
  'trace_flags',
]);

export type AttributeVerdict =
  | { readonly kind: 'keep'; readonly text: string }
  | { readonly kind: 'ignore'; readonly warning: string };

/** Judges an attribute record, `name=value`; blanks around either go. */
export function judgeAttribute(record: string): AttributeVerdict {
  const equals = record.indexOf('=');
  const name = record.slice(0, Math.max(equals, 0)).trim();
  if (name === '') {
    const what = equals < 0 ? "missing '=' after attribute name" : 'missing attribute name';
    return {
      kind: 'ignore',
      warning: `ignoring malformed record: ${what}: ${record.slice(0, 200)}`,
    };
  }
  const value = record.slice(equals + 1).trim();
  const allowed =
    FREE.has(name) ||
    (name === 'encoding' && ENCODINGS.has(value)) ||
    (name === 'rewrite_context' && CONTEXTS.has(value));
  if (allowed) return { kind: 'keep', text: `${name}=${value}` };
  const shown = `${name.slice(0, 200)}=${value.slice(0, 200)}`;
  return { kind: 'ignore', warning: `ignoring attribute record: ${shown}` };
}
