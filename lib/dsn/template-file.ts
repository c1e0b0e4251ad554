/** Reads bounce_template_file: a template is a here-document under its name. Pure. */
import { BUILTIN_TEMPLATES } from './builtin-templates.ts';
import { type Template, TemplateError, type TemplateName } from './template.ts';

/** All four templates, and what is wrong with the file. */
export interface TemplateSet {
  readonly templates: Readonly<Record<TemplateName, Template>>;
  readonly warnings: readonly string[];
}

const ASSIGNMENT = /^\s*([^=\s]+)\s*=\s*(.*?)\s*$/;
const HERE_DOCUMENT = /^<<\s*(\S+)$/;
const HEADER = /^([A-Za-z][A-Za-z0-9-]*)\s*:\s*(.*?)\s*$/;
const ASCII = /^[\x00-\x7f]*$/;

/**
 * Reads the file; the built-in template stands where it has none, or a bad one.
 *
 * @throws {TemplateError} when a line is neither assignment nor comment
 */
export function parseTemplateFile(file: string, name: string): TemplateSet {
  const templates: Record<TemplateName, Template> = { ...BUILTIN_TEMPLATES };
  const warnings: string[] = [];
  // Postfix names the line after the one that is wrong, and so do we.
  const lines = file.split('\n');
  if (lines.at(-1) === '') lines.pop();
  for (let at = 0; at < lines.length; ) {
    const line = lines[at] ?? '';
    at += 1;
    if (/^\s*(#|$)/.test(line)) continue;
    const [, label = '', value = ''] = ASSIGNMENT.exec(line) ?? [];
    if (label === '') {
      throw new TemplateError(
        `${name}, line ${at + 1}: missing '=' after attribute name: "${line}"`,
      );
    }
    const marker = HERE_DOCUMENT.exec(value)?.[1];
    let text = [value];
    if (marker !== undefined) {
      const end = lines.indexOf(marker, at);
      text = lines.slice(at, end < 0 ? undefined : end);
      at = end < 0 ? lines.length : end + 1;
      if (end < 0) warnings.push(`${name}, line ${at + 1}: missing "${marker}" end marker`);
    }
    const kind = kindOf(label);
    if (kind === undefined) {
      const place = `${name}, line ${at + 1}`;
      warnings.push(`${place}: unknown template name: ${label} -- ignoring this template`);
      continue;
    }
    const parsed = parseTemplate(kind, text, name);
    if ('trouble' in parsed) warnings.push(...parsed.trouble);
    else templates[kind] = parsed;
  }
  return { templates, warnings };
}

function kindOf(label: string): TemplateName | undefined {
  const kinds: Readonly<Record<string, TemplateName>> = {
    failure_template: 'failure',
    delay_template: 'delay',
    success_template: 'success',
    verify_template: 'verify',
  };
  return kinds[label];
}

const HEADERS = ['charset', 'from', 'subject', 'postmaster-subject'];

/** Headers, an empty line, text; all but the text may be missing. */
function parseTemplate(
  kind: TemplateName,
  lines: readonly string[],
  file: string,
): Template | { readonly trouble: readonly string[] } {
  const ignoring = '-- ignoring this template';
  const headers = new Map<string, string>();
  let at = 0;
  for (; at < lines.length; at += 1) {
    const [, label, value = ''] = HEADER.exec(lines[at] ?? '') ?? [];
    if (label === undefined) break;
    if (!HEADERS.includes(label.toLowerCase())) {
      return {
        trouble: [`${file}: unknown "${label}" header label in ${kind} template ${ignoring}`],
      };
    }
    if (!ASCII.test(value)) {
      return {
        trouble: [`${file}: non-ASCII "${label}" header value in ${kind} template ${ignoring}`],
      };
    }
    headers.set(label.toLowerCase(), value);
  }
  if (lines[at] === '') at += 1;
  const text = lines.slice(at);
  if (text.length === 0) {
    return { trouble: [`${file}: missing message text in ${kind} template ${ignoring}`] };
  }
  const builtin = BUILTIN_TEMPLATES[kind];
  const charset = headers.get('charset') ?? builtin.charset;
  if (charset.toLowerCase() === 'us-ascii' && !text.every((line) => ASCII.test(line))) {
    const trouble = [
      `${file}: 8-bit message text in ${kind} template`,
      'please specify a charset value other than us-ascii',
      '-- ignoring this template for now',
    ];
    return { trouble };
  }
  return {
    name: kind,
    origin: file,
    charset,
    from: headers.get('from') ?? builtin.from,
    subject: headers.get('subject') ?? builtin.subject,
    postmasterSubject: headers.get('postmaster-subject') ?? builtin.postmasterSubject,
    text,
  };
}
