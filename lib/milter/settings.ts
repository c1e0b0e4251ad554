/**
 * `smtpd_milters` and `non_smtpd_milters`: where milters listen, and what is different for one of
 * them: `{ inet:host:port, connect_timeout=10s, default_action=accept }`. Pure.
 */
import { parsePort, splitInetName } from '../config/inet-name.ts';
import { splitList } from '../config/list.ts';
import { parseServiceOptions } from '../config/service-options.ts';
import { FatalError } from '../log/fatal.ts';
import type { ParametersOf } from '../server/service.ts';
import type { MacroLists } from './macros.ts';

/** The parameters that every milter client honours. */
export const MILTER_PARAMETERS = [
  'milter_command_timeout',
  'milter_connect_macros',
  'milter_connect_timeout',
  'milter_content_timeout',
  'milter_data_macros',
  'milter_default_action',
  'milter_end_of_data_macros',
  'milter_end_of_header_macros',
  'milter_helo_macros',
  'milter_macro_daemon_name',
  'milter_macro_defaults',
  'milter_macro_v',
  'milter_mail_macros',
  'milter_protocol',
  'milter_rcpt_macros',
  'milter_unknown_command_macros',
] as const;

export type MilterParameters = ParametersOf<(typeof MILTER_PARAMETERS)[number]>;

export type MilterEndpoint =
  | { readonly path: string }
  | { readonly host: string; readonly port: number };

/** One milter, and how to deal with it. */
export interface MilterSettings {
  /** `inet:127.0.0.1:8891`: its name in the log. */
  readonly name: string;
  readonly connectSeconds: number;
  readonly commandSeconds: number;
  readonly contentSeconds: number;
  /** What to do with mail when it can't be asked: `tempfail`, or a word that makes no sense. */
  readonly defaultAction: string;
  /** The protocol's version, as main.cf has it. */
  readonly protocol: string;
}

/** What may follow the name, and the parameter it stands for. */
const OPTIONS = {
  command_timeout: 'milter_command_timeout',
  connect_timeout: 'milter_connect_timeout',
  content_timeout: 'milter_content_timeout',
  default_action: 'milter_default_action',
  protocol: 'milter_protocol',
} as const;

const SYNTAX_ERROR = 'milter service syntax error: ';
const COMPLAINTS = { braces: SYNTAX_ERROR, equals: SYNTAX_ERROR, unknown: SYNTAX_ERROR };

/** Reads a list of milters. @throws {FatalError} when it makes no sense */
export function parseMilters(text: string, parameters: MilterParameters): MilterSettings[] {
  return splitList(text).map((item) => parseMilter(item, parameters));
}

function parseMilter(text: string, parameters: MilterParameters): MilterSettings {
  const { name, value } = parseServiceOptions(text, OPTIONS, parameters, COMPLAINTS);
  if (name === undefined) throw new FatalError(`empty milter definition: "${text}"`);
  return {
    name,
    connectSeconds: value('connect_timeout'),
    commandSeconds: value('command_timeout'),
    contentSeconds: value('content_timeout'),
    defaultAction: value('default_action'),
    protocol: value('protocol'),
  };
}

/**
 * Where a milter listens: `inet:host:port`, Sendmail's `inet:port@host`, `unix:path`, `local:path`.
 *
 * @throws {FatalError} for any other name
 */
export function parseEndpoint(name: string): MilterEndpoint {
  const [, type, rest = ''] = /^([^:]+):(.+)$/s.exec(name) ?? [];
  if (type === undefined) {
    throw new FatalError(`Milter service needs transport:endpoint instead of "${name}"`);
  }
  if (type === 'unix' || type === 'local') return { path: rest };
  if (type !== 'inet') {
    throw new FatalError(`invalid transport name: ${type} in Milter service: ${name}`);
  }
  const at = rest.indexOf('@');
  const postfix = at < 0 ? rest : `${rest.slice(at + 1)}:${rest.slice(0, at)}`;
  const { host, port } = splitInetName(postfix);
  return { host: host || 'localhost', port: parsePort(port) };
}

/** The lists of macros in main.cf. */
export function macroLists(parameters: MilterParameters): MacroLists {
  return {
    connect: parameters.milter_connect_macros,
    helo: parameters.milter_helo_macros,
    mail: parameters.milter_mail_macros,
    rcpt: parameters.milter_rcpt_macros,
    data: parameters.milter_data_macros,
    endOfHeaders: parameters.milter_end_of_header_macros,
    endOfMessage: parameters.milter_end_of_data_macros,
    unknown: parameters.milter_unknown_command_macros,
  };
}
