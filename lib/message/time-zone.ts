/**
 * The abbreviation of the local time zone ("CET"), read from the system's zone file: asking Intl
 * for it costs a daemon 40 ms. Read once, at first use, so before a chroot when asked early.
 */
import { readFileSync } from 'node:fs';

const ZONES = '/usr/share/zoneinfo';

let abbreviations: ReadonlyMap<number, string> | undefined;

/** @returns the name that local time has `offsetMinutes` east of Greenwich, '' when unknown */
export function zoneAbbreviation(offsetMinutes: number): string {
  abbreviations ??= readAbbreviations();
  return abbreviations.get(offsetMinutes) ?? (offsetMinutes === 0 ? 'UTC' : '');
}

function readAbbreviations(): ReadonlyMap<number, string> {
  const zone = process.env['TZ']?.replace(/^:/, '');
  if (zone === '' || zone === 'UTC') return new Map([[0, 'UTC']]);
  const file = zone === undefined ? '/etc/localtime' : zonePath(zone);
  try {
    return parseZoneFile(readFileSync(file));
  } catch {
    return new Map();
  }
}

function zonePath(zone: string): string {
  return zone.startsWith('/') ? zone : `${ZONES}/${zone.replaceAll('..', '')}`;
}

/** Offset in minutes to abbreviation, the latest one of each. RFC 8536; throws RangeError when cut short. */
export function parseZoneFile(bytes: Buffer): ReadonlyMap<number, string> {
  if (bytes.toString('latin1', 0, 4) !== 'TZif') return new Map();
  const transitions = bytes.readUInt32BE(32);
  const types = bytes.readUInt32BE(36);
  // The first block, with 32-bit times: its types have all abbreviations that are in use.
  const indexes = 44 + transitions * 4;
  const records = indexes + transitions;
  const names = records + types * 6;
  const order = new Set<number>([...bytes.subarray(indexes, records)].reverse());
  for (let type = 0; type < types; type += 1) order.add(type);
  const found = new Map<number, string>();
  for (const type of order) {
    const at = records + type * 6;
    const minutes = Math.round(bytes.readInt32BE(at) / 60);
    const name = names + bytes.readUInt8(at + 5);
    if (!found.has(minutes))
      found.set(minutes, bytes.toString('latin1', name, bytes.indexOf(0, name)));
  }
  return found;
}
