import { availableParallelism } from 'node:os';
import type { Service } from './service.ts';

/** Clients without a limit still do not all fit into one process. */
const SHARE_OF_UNLIMITED = 200;

/** @param wanted `service_processes`; 0: as many as there are processors */
export function processesFor(wanted: number): number {
  return wanted > 0 ? wanted : availableParallelism();
}

/**
 * How many of a service's clients one process of ours may take on. DESIGN: processes share maxproc.
 *
 * @param left what other processes have not taken up
 * @param processes `service_processes`; 0: as many as there are processors
 */
export function slotsFor(limit: number, left: number, processes: number): number {
  if (limit === Number.POSITIVE_INFINITY) return SHARE_OF_UNLIMITED;
  return Math.max(1, Math.min(left, Math.ceil(limit / processesFor(processes))));
}

/** Whether a service's daemons get `stress=` at all: those that only this machine reaches do not. */
export function isToldOfStress({ entry, listeners }: Service, limit: number): boolean {
  if (limit <= 1) return false;
  if (entry.type === 'pass') return true;
  return (
    entry.type === 'inet' &&
    listeners.some(({ address }) => address.kind === 'inet' && !/^(127\.|::1$)/.test(address.host))
  );
}

/** What the log says of a service that has no process left for the next client. */
export function limitWarnings({ entry, key }: Service, limit: number): readonly string[] {
  return [
    `service "${entry.name}" (${key}) has reached its process limit "${limit}": ` +
      'new clients may experience noticeable delays',
    'to avoid this condition, increase the process count in master.cf or reduce the service time per client',
    'see https://www.postfix.org/STRESS_README.html for examples of stress-adapting configuration settings',
  ];
}
