/**
 * header_checks, body_checks and their like: which line of a message is put to which tables. Pure.
 */
import type { TableList } from '../table/table-list.ts';
import { headerNameLength, knownHeader } from './header.ts';
import type { MimeEvent } from './mime.ts';

export interface CheckTables {
  /** For the message's own headers. */
  readonly header: TableList | undefined;
  /** For headers that say what a part is, wherever they stand. */
  readonly part: TableList | undefined;
  /** For the headers of attached messages. */
  readonly nested: TableList | undefined;
  readonly body: TableList | undefined;
}

/** Goes through a message beside whoever reads it, and knows which tables are next. */
export class CheckRoute {
  readonly #tables: CheckTables;
  readonly #any: boolean;
  readonly #bodyLimit: number;
  /** Bytes of the part's body so far. */
  #bodyBytes = 0;

  /** @param bodyLimit body_checks_size_limit: bytes of each part that are looked at */
  constructor(tables: CheckTables, bodyLimit: number) {
    this.#tables = tables;
    this.#any = Object.values(tables).some((list) => list !== undefined);
    this.#bodyLimit = bodyLimit;
  }

  /** The tables for this header or line. Must be told of every event, in order. */
  tablesFor(event: MimeEvent): TableList | undefined {
    if (!this.#any) return undefined;
    if (event.kind === 'body') return this.#body(event.text);
    if (event.kind !== 'header') return undefined;
    this.#bodyBytes = 0;
    const { header, part, nested } = this.#tables;
    const name = event.text.slice(0, headerNameLength(event.text)).toLowerCase();
    if (event.of === 'part' || knownHeader(name)?.mime) return part;
    return event.of === 'primary' ? header : nested;
  }

  #body(text: string): TableList | undefined {
    const seen = this.#bodyBytes;
    this.#bodyBytes += text.length + 1;
    return seen < this.#bodyLimit ? this.#tables.body : undefined;
  }
}
