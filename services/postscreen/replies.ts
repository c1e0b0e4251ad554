/** Replies as they go out: softened when soft_bounce says so, and with a footer when they refuse. */
import { now } from '../../lib/clock/clock.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { ExpansionError } from '../../lib/config/expand.ts';
import type { Log } from '../../lib/log/log.ts';
import { formatDate } from '../../lib/message/date.ts';
import type { Endpoints } from '../../lib/net/proxy-header.ts';
import { withFooter } from '../../lib/smtp/reject-footer.ts';
import { fillTemplate } from '../../lib/smtp/reply-template.ts';
import { TableError, type TableList } from '../../lib/table/table.ts';

export class Replies {
  readonly #log: Log;
  readonly #isSoft: boolean;
  readonly #hostname: string;
  readonly #footers: TableList;
  readonly #footer: string;
  /** The characters that values in a footer may have. */
  readonly #allowed: string;

  /** @param footers postscreen_reject_footer_maps */
  constructor(configuration: Configuration, footers: TableList, log: Log) {
    this.#log = log;
    this.#isSoft = configuration.get('soft_bounce');
    this.#hostname = configuration.get('myhostname');
    this.#footers = footers;
    this.#footer = rawValue(configuration, 'postscreen_reject_footer');
    this.#allowed = rawValue(configuration, 'postscreen_expansion_filter');
  }

  /** The bytes of a reply to a client. */
  format(reply: string | readonly string[], client: Endpoints): string {
    const plain = typeof reply === 'string' ? [reply] : reply;
    const lines = plain.map((line) => this.softened(line));
    const footed = /^[45]/.test(lines[0] ?? '') ? this.#withFooter(lines, client) : lines;
    return `${footed.join('\r\n')}\r\n`;
  }

  /** `550 5.7.1 no` as `450 4.7.1 no`, with soft_bounce. */
  softened(line: string): string {
    return this.#isSoft ? line.replace(/^5(\d\d[ -])(5(?=\.))?/, soften) : line;
  }

  #withFooter(lines: readonly string[], client: Endpoints): readonly string[] {
    const template = answerAtOnce(this.#footers, lines.at(-1) ?? '') ?? this.#footer;
    if (template === '') return lines;
    const values = {
      macros: {
        client_address: client.clientAddress,
        client_port: client.clientPort,
        localtime: formatDate(now()),
        server_name: this.#hostname,
      },
      allowed: this.#allowed,
      warn: (text: string) => this.#log.warn(text),
    };
    try {
      return withFooter(lines, template, (line) => fillTemplate(line, values));
    } catch (error) {
      if (!(error instanceof ExpansionError)) throw error;
      this.#log.warn(`bad reject footer: ${error.message}`);
      return lines;
    }
  }
}

function soften(_all: string, rest: string, status?: string): string {
  return `4${rest}${status === undefined ? '' : '4'}`;
}

/** What tables say at once: nobody waits for them, and trouble with them is none of the client's. */
export function answerAtOnce(tables: TableList, key: string): string | undefined {
  try {
    const found = tables.lookup(key);
    return found instanceof Promise ? undefined : found?.value;
  } catch (error) {
    if (error instanceof TableError) return undefined;
    throw error;
  }
}

/** A template is not expanded when it is read; but one that is just the name of another is that. */
function rawValue(configuration: Configuration, name: string): string {
  const value = configuration.unexpanded(name) ?? '';
  const other = /^\$[{(]?(\w+)[)}]?$/.exec(value)?.[1];
  return other === undefined || other === name ? value : rawValue(configuration, other);
}
