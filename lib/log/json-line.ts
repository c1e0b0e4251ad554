/** The JSON view of an event: its own fields, bounded. pino adds level, time, host, tag, pid. */
import type { LogEvent } from './event.ts';
import { printableLine } from './printable.ts';

/** The fields of the JSON line; `kind` is called `event` there. */
export function jsonFields(event: LogEvent): Record<string, unknown> {
  const { kind, ...fields } = event;
  const bounded: Record<string, unknown> = { event: kind };
  for (const [name, value] of Object.entries(fields)) {
    bounded[name] = typeof value === 'string' ? printableLine(value) : value;
  }
  return bounded;
}
