/** The texts of notices: bounce_template_file, bounce(5). Pure. */
import { ExpansionError, expand, type Lookup } from '../config/expand.ts';

/** One for each kind of notice. */
export type TemplateName = 'failure' | 'delay' | 'success' | 'verify';

/** What a notice says before it comes to the recipients. */
export interface Template {
  readonly name: TemplateName;
  /** The file it is from, for messages. */
  readonly origin: string;
  readonly charset: string;
  /** Undefined: the mail system, as header_from_format writes it. */
  readonly from: string | undefined;
  readonly subject: string;
  /** `''`: postmaster gets no copies of this kind. */
  readonly postmasterSubject: string;
  /** Lines with `$name` in them. */
  readonly text: readonly string[];
}

/** A template file that can't be used. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

/** Lines, and what the administrator should know about them. */
export interface ExpandedText {
  readonly lines: readonly string[];
  readonly warnings: readonly string[];
}

/** Times that a template may ask for in another unit: `$delay_warning_time_hours`. */
const TIMES = ['bounce_queue_lifetime', 'delay_warning_time', 'maximal_queue_lifetime'] as const;

/** The times in seconds. */
export type TemplateTimes = Readonly<Record<(typeof TIMES)[number], number>>;

const UNITS: Readonly<Record<string, number>> = {
  seconds: 1,
  minutes: 60,
  hours: 3600,
  days: 86_400,
  weeks: 604_800,
};

/**
 * Fills in the names in a template's text.
 *
 * @param lookup any parameter's value as text; undefined when there is no such parameter
 * @throws {TemplateError} for a name that nobody knows, or one that can't be parsed
 */
export function expandTemplate(
  template: Template,
  times: TemplateTimes,
  lookup: Lookup,
): ExpandedText {
  const { origin, name } = template;
  const warnings: string[] = [];
  const lines = template.text.map((line) => {
    let unknown = false;
    const find: Lookup = (wanted) => {
      const value = timeIn(wanted, template, times, warnings) ?? lookup(wanted);
      unknown ||= value === undefined;
      return value;
    };
    const text = expandLine(line, template, find);
    if (unknown) throw new TemplateError(`${origin}: undefined $name in ${name} template: ${line}`);
    return text;
  });
  return { lines, warnings };
}

function expandLine(line: string, { origin, name }: Template, find: Lookup): string {
  try {
    return expand(line, find);
  } catch (cause) {
    if (!(cause instanceof ExpansionError)) throw cause;
    throw new TemplateError(`${origin}: bad $name syntax in ${name} template: ${line}`, { cause });
  }
}

/** `maximal_queue_lifetime_days`: whole units, rounded down. */
function timeIn(
  wanted: string,
  { origin, name }: Template,
  times: TemplateTimes,
  warnings: string[],
): string | undefined {
  const parameter = TIMES.find((time) => wanted.startsWith(`${time}_`));
  if (parameter === undefined) return undefined;
  const unit = wanted.slice(parameter.length + 1);
  const unitSeconds = UNITS[unit];
  if (unitSeconds === undefined) {
    throw new TemplateError(`${origin}: unrecognized suffix "${unit}" in parameter "${wanted}"`);
  }
  const value = Math.floor(times[parameter] / unitSeconds);
  if (value === 0 && times[parameter] > 0) {
    warnings.push(
      `${origin}: zero result in ${name} template conversion of parameter "${wanted}"`,
      `please reduce time unit "${unit}" of "${wanted}" in ${name} template`,
      'for instructions see the bounce(5) manual',
    );
  }
  return String(value);
}
