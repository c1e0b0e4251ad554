/** The tables of local(8). It keeps root's rights: a table that has changed is opened anew. */
import type { TableWatch } from '../../lib/server/table-watch.ts';
import { openTables, type TableList } from '../../lib/table/table.ts';
import { type AliasTable, openAliasTables } from './alias-table.ts';
import type { Parameters } from './settings.ts';

/** Tables that were opened together. A delivery uses the same from beginning to end. */
export interface OpenedTables {
  readonly aliases: readonly AliasTable[];
  readonly mailboxTransports: TableList;
  readonly mailboxCommands: TableList;
  readonly fallbackTransports: TableList;
}

interface Generation {
  readonly tables: OpenedTables;
  users: number;
}

export class LocalTables {
  readonly #parameters: Parameters;
  readonly #watch: TableWatch;
  #current: Generation;

  constructor(parameters: Parameters, watch: TableWatch) {
    this.#parameters = parameters;
    this.#watch = watch;
    this.#current = { tables: openAll(parameters, watch), users: 0 };
  }

  /** Does something with the tables as they are now. */
  async using<Value>(action: (tables: OpenedTables) => Promise<Value>): Promise<Value> {
    const generation = this.#current;
    generation.users += 1;
    try {
      return await action(generation.tables);
    } finally {
      generation.users -= 1;
      this.#closeUnused(generation);
    }
  }

  /** Opens all tables anew. */
  renew(): void {
    const old = this.#current;
    this.#current = { tables: openAll(this.#parameters, this.#watch), users: 0 };
    this.#closeUnused(old);
  }

  #closeUnused(generation: Generation): void {
    if (generation === this.#current || generation.users > 0) return;
    const { aliases, mailboxTransports, mailboxCommands, fallbackTransports } = generation.tables;
    for (const { table } of aliases) table.close();
    for (const list of [mailboxTransports, mailboxCommands, fallbackTransports]) list.close();
  }
}

function openAll(parameters: Parameters, watch: TableWatch): OpenedTables {
  const open = (
    parameter: 'mailbox_transport_maps' | 'mailbox_command_maps' | 'fallback_transport_maps',
  ) =>
    openTables(parameters[parameter], {
      ...watch,
      parameter,
      substitution: false,
      sensitive: parameter === 'mailbox_command_maps',
    });
  return {
    aliases: openAliasTables(parameters.alias_maps, watch),
    mailboxTransports: open('mailbox_transport_maps'),
    mailboxCommands: open('mailbox_command_maps'),
    fallbackTransports: open('fallback_transport_maps'),
  };
}
