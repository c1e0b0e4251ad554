/** What main.cf says about notices, read once at start. */
import { readFileSync } from 'node:fs';
import { CLEANUP_FLAG } from '../../lib/clients/cleanup.ts';
import { now } from '../../lib/clock/clock.ts';
import { splitList } from '../../lib/config/configuration.ts';
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
import { FatalError } from '../../lib/log/fatal.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import type { NoticeRules } from './plan.ts';

/** The parameters of bounce(8). */
export const BOUNCE_PARAMETERS = [
  '2bounce_notice_recipient',
  'backwards_bounce_logfile_compatibility',
  'bounce_notice_recipient',
  'bounce_queue_lifetime',
  'bounce_size_limit',
  'bounce_template_file',
  'cleanup_service_name',
  'delay_notice_recipient',
  'delay_warning_time',
  'double_bounce_sender',
  'enable_threaded_bounces',
  'hash_queue_depth',
  'hash_queue_names',
  'header_from_format',
  'internal_mail_filter_classes',
  'ipc_idle',
  'ipc_timeout',
  'ipc_ttl',
  'line_length_limit',
  'mail_name',
  'maximal_queue_lifetime',
  'myhostname',
  'notify_classes',
  'smtputf8_enable',
] as const;

export type BounceContext = ServiceContext<(typeof BOUNCE_PARAMETERS)[number]>;

/** A template, and its text with the names filled in. */
export interface FilledTemplate {
  readonly template: Template;
  readonly text: readonly string[];
}

export interface NoticeSettings {
  readonly rules: NoticeRules;
  readonly templates: Readonly<Record<TemplateName, FilledTemplate>>;
  readonly hostname: string;
  readonly mailName: string;
  readonly sizeLimitBytes: number;
  readonly lineBytesMax: number;
  readonly lifetimeSeconds: number;
  readonly threaded: boolean;
  readonly oldFrom: boolean;
  readonly utf8Enabled: boolean;
  /** What cleanup shall do with a notice. */
  cleanupFlags(utf8: boolean): number;
  now(): number;
}

/** @throws {FatalError} when the template file can't be read, or names what nobody knows */
export function readSettings(context: BounceContext): NoticeSettings {
  const { parameters } = context;
  const hostname = parameters.myhostname;
  const filtered = wordsOf(parameters.internal_mail_filter_classes).has('bounce');
  const flags = CLEANUP_FLAG.MAP_OK | (filtered ? CLEANUP_FLAG.FILTER | CLEANUP_FLAG.MILTER : 0);
  return {
    rules: {
      classes: wordsOf(parameters.notify_classes),
      doubleBounce: doubleBounceAddress(parameters.double_bounce_sender, hostname),
      bounceRecipient: parameters.bounce_notice_recipient,
      doubleBounceRecipient: parameters['2bounce_notice_recipient'],
      delayRecipient: parameters.delay_notice_recipient,
    },
    templates: fillTemplates(context),
    hostname,
    mailName: parameters.mail_name,
    sizeLimitBytes: parameters.bounce_size_limit,
    lineBytesMax: parameters.line_length_limit,
    lifetimeSeconds: parameters.maximal_queue_lifetime,
    threaded: parameters.enable_threaded_bounces,
    oldFrom: parameters.header_from_format === 'obsolete',
    utf8Enabled: parameters.smtputf8_enable,
    cleanupFlags: (utf8) => (utf8 ? flags | CLEANUP_FLAG.SMTPUTF8 : flags),
    now,
  };
}

function wordsOf(list: string): ReadonlySet<string> {
  return new Set(splitList(list).map((word) => word.toLowerCase()));
}

function doubleBounceAddress(sender: string, hostname: string): string {
  return sender.includes('@') ? sender : `${sender}@${hostname}`;
}

function fillTemplates(context: BounceContext): NoticeSettings['templates'] {
  const { parameters, log } = context;
  try {
    const { templates, warnings } = readTemplates(parameters.bounce_template_file);
    for (const warning of warnings) log.warn(warning);
    const fill = (name: TemplateName) => fillTemplate(templates[name], context);
    return {
      failure: fill('failure'),
      delay: fill('delay'),
      success: fill('success'),
      verify: fill('verify'),
    };
  } catch (error) {
    if (error instanceof TemplateError) throw new FatalError(error.message, { cause: error });
    throw error;
  }
}

function readTemplates(file: string): TemplateSet {
  if (file === '') return { templates: BUILTIN_TEMPLATES, warnings: [] };
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new FatalError(`open ${file}: ${openErrorText(cause)}`, { cause });
  }
  return parseTemplateFile(text, file);
}

function fillTemplate(
  template: Template,
  { parameters, configuration, log }: BounceContext,
): FilledTemplate {
  const known = (name: string) => isParameterName(name) || configuration.isSet(name);
  const { lines, warnings } = expandTemplate(template, parameters, (name) =>
    known(name) ? configuration.text(name) : undefined,
  );
  for (const warning of warnings) log.warn(warning);
  return { template, text: lines };
}
