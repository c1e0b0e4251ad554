/** `postconf -t` and `-b`: the texts of bounce_template_file, as they are and expanded; bounce(5). */
import { readFileSync } from 'node:fs';
import { loadConfiguration } from '../../lib/config/configuration.ts';
import { ExpansionError } from '../../lib/config/expand.ts';
import { isParameterName } from '../../lib/config/parameters.ts';
import { openErrorText } from '../../lib/config/source.ts';
import { BUILTIN_TEMPLATES } from '../../lib/dsn/builtin-templates.ts';
import {
  expandTemplate,
  type Template,
  TemplateError,
  type TemplateName,
} from '../../lib/dsn/template.ts';
import { parseTemplateFile, type TemplateSet } from '../../lib/dsn/template-file.ts';
import { say } from '../options/command.ts';

const NAMES: readonly TemplateName[] = ['failure', 'delay', 'success', 'verify'];
/** What stands where a template names no sender, as bounce(8) writes it. */
const FROM = 'Mail Delivery System <MAILER-DAEMON>';

/**
 * Prints all four templates. The exit status: 1 when the file can't be used, which is said in the
 * name of bounce(8), whose file it is.
 *
 * @throws {Error} when there is more than one file
 */
export function showTemplates(
  mode: 'b' | 't',
  operands: readonly string[],
  directory: string,
): number {
  if (operands.length > 1) throw new Error('options -b and -t require at most one template file');
  const configuration = loadConfiguration({ directory, processName: 'bounce' });
  const program = `${configuration.get('syslog_name')}/bounce`;
  const warn = (text: string) => say(program, `warning: ${text}`);
  try {
    const file = operands[0] ?? configuration.get('bounce_template_file');
    const { templates, warnings } = readTemplates(file);
    warnings.forEach(warn);
    const expanded = (template: Template) => expand(template, configuration, warn);
    const format = mode === 't' ? formatTemplate : expanded;
    const texts = NAMES.map((name) => format(templates[name]));
    process.stdout.write(Buffer.from(texts.join('\n'), 'latin1'));
    return 0;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    if (error.cause instanceof ExpansionError) warn(error.cause.message);
    say(program, `fatal: ${error.message}`);
    return 1;
  }
}

/** As bytes, whatever their encoding. */
function readTemplates(file: string): TemplateSet {
  if (file === '') return { templates: BUILTIN_TEMPLATES, warnings: [] };
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch (cause) {
    throw new TemplateError(`open ${file}: ${openErrorText(cause)}`, { cause });
  }
  return parseTemplateFile(text, file);
}

function formatTemplate({ name, charset, from, subject, postmasterSubject, text }: Template) {
  const postmaster = postmasterSubject === '' ? [] : [`Postmaster-Subject: ${postmasterSubject}`];
  const headers = [`Charset: ${charset}`, `From: ${from ?? FROM}`, `Subject: ${subject}`];
  return hereDocument(`${name}_template`, [...headers, ...postmaster, '', ...text]);
}

function expand(
  template: Template,
  configuration: ReturnType<typeof loadConfiguration>,
  warn: (text: string) => void,
): string {
  const times = configuration.select([
    'bounce_queue_lifetime',
    'delay_warning_time',
    'maximal_queue_lifetime',
  ]);
  const known = (name: string) => isParameterName(name) || configuration.isSet(name);
  const { lines, warnings } = expandTemplate(template, times, (name) =>
    known(name) ? Buffer.from(configuration.text(name)).toString('latin1') : undefined,
  );
  warnings.forEach(warn);
  return hereDocument(`expanded_${template.name}_text`, lines);
}

function hereDocument(name: string, lines: readonly string[]): string {
  return `${name} = <<EOF\n${lines.map((line) => `${line}\n`).join('')}EOF\n`;
}
