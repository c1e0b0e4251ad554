/** What alias_maps say about an address. Postfix: aliases(5). */
import type { Table } from '../../lib/table/table.ts';
import type { AliasTable } from './alias-table.ts';
import type { Branch } from './branch.ts';

/** An alias that refers to another, and so on, is a loop when it goes on for so long. */
const LEVEL_MAX = 100;

/** What a name stands for, and where that is written. */
export interface FoundAlias {
  readonly name: string;
  readonly value: string;
  readonly table: Table;
  /** Whose rights go with it. */
  readonly ownerUid: number;
}

/** What there is to do for an address that may be an alias. */
export type AliasDecision =
  | { readonly kind: 'none' }
  | { readonly kind: 'loop'; readonly name: string }
  | { readonly kind: 'expand'; readonly alias: FoundAlias; readonly unmatched: Branch['suffix'] };

/**
 * Looks for the address's local part, then for it without its extension.
 *
 * @throws {TableError} when a table is in trouble
 */
export async function decideAlias(
  tables: readonly AliasTable[],
  branch: Branch,
  propagates: boolean,
): Promise<AliasDecision> {
  const names = branch.suffix === undefined ? [branch.local] : [branch.local, branch.user];
  for (const [at, name] of names.entries()) {
    // An alias that names itself means the user of that name.
    if (branch.expandedFrom?.toLowerCase() === name) continue;
    if (branch.level > LEVEL_MAX) return { kind: 'loop', name };
    const alias = await findAlias(tables, name, at > 0);
    if (alias === undefined) continue;
    return { kind: 'expand', alias, unmatched: at > 0 && propagates ? branch.suffix : undefined };
  }
  return { kind: 'none' };
}

/** @param partial patterns are asked for whole names only */
export async function findAlias(
  tables: readonly AliasTable[],
  name: string,
  partial: boolean,
): Promise<FoundAlias | undefined> {
  for (const { table, owner } of tables) {
    if (name === '' || (partial && table.pattern)) continue;
    const value = await table.lookup(name);
    if (value !== undefined) return { name, value, table, ownerUid: owner };
  }
  return undefined;
}
