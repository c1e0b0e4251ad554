/** An entry of the cache of addresses: `status:probed:updated:text`. Pure. */

/** What is known of an address. Times are seconds since the epoch; 0 is never. */
export interface Entry {
  /** RECIPIENT_STATUS. */
  readonly status: number;
  /** When a probe was sent that has not come back. */
  readonly probed: number;
  /** When the status was found out. */
  readonly updated: number;
  readonly text: string;
}

/** @returns `undefined` when it is no entry */
export function parseEntry(value: string | undefined): Entry | undefined {
  const [, status, probed, updated, text = ''] =
    /^([0-3]):(\d{1,12}):(\d{1,12}):(.*)$/s.exec(value ?? '') ?? [];
  if (status === undefined) return undefined;
  return { status: Number(status), probed: Number(probed), updated: Number(updated), text };
}

export function formatEntry({ status, probed, updated, text }: Entry): string {
  return `${status}:${probed}:${updated}:${text}`;
}

/** Keys have no colons: as in Postfix, of whose tables some could not have them. */
export function keyOf(address: string): string {
  return address.replaceAll(':', '_');
}
