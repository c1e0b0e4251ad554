/** smtpd_reject_footer: what every refusal ends with. postconf(5). Pure. */

/** The code, the status if there is one, and the text of a line. */
const LINE = /^(\d{3})[ -]([245]\.\d{1,3}\.\d{1,3} )?(.*)$/s;

/**
 * Adds a footer to a refusal. Lines of the template are separated by `\n`; `\c` at its start: the
 * first of them goes on where the refusal ends.
 *
 * @param expand puts values into a line of the template
 */
export function withFooter(
  reply: readonly string[],
  template: string,
  expand: (line: string) => string,
): readonly string[] {
  const [, code, status = '', text = ''] = LINE.exec(reply.at(-1) ?? '') ?? [];
  if (code === undefined) return reply;
  const joins = template.startsWith('\\c');
  const [first = '', ...rest] = (joins ? template.slice(2) : template).split('\\n').map(expand);
  const added = joins ? [text + first, ...rest] : [text, first, ...rest];
  const before = reply.slice(0, -1);
  return [
    ...before,
    ...added.map((line, at) => `${code}${at === added.length - 1 ? ' ' : '-'}${status}${line}`),
  ];
}
