/** CPU and memory of master and all its daemons, read from /proc. */
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** Linux counts CPU time in hundredths of a second. */
const TICKS = 100;

interface ProcessTimes {
  readonly pid: number;
  /** What it runs: `smtpd`. */
  readonly name: string;
  readonly parent: number;
  /** Seconds: its own, and those of children it has waited for. */
  readonly seconds: number;
}

/** CPU seconds of a process and its descendants, those that ended included, by what they run. */
export function cpuSeconds(root: number): Map<string, number> {
  const tree = new Set([root]);
  const sums = new Map<string, number>();
  for (const { pid, name, parent, seconds } of processes()) {
    if (!tree.has(pid) && !tree.has(parent)) continue;
    tree.add(pid);
    sums.set(name, (sums.get(name) ?? 0) + seconds);
  }
  return sums;
}

/** Proportional memory of the tree in MB: pages that processes share are counted once. */
export function memoryMegabytes(root: number): number {
  let kilobytes = 0;
  const tree = new Set([root]);
  for (const { pid, parent } of processes()) {
    if (!tree.has(pid) && !tree.has(parent)) continue;
    tree.add(pid);
    kilobytes += proportionalKilobytes(pid);
  }
  return kilobytes / 1024;
}

function processes(): ProcessTimes[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => readTimes(Number(name)))
    .filter((times) => times !== undefined)
    .sort((a, b) => a.pid - b.pid);
}

function readTimes(pid: number): ProcessTimes | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const at = (index: number) => Number(fields[index]);
    const ticks = at(11) + at(12) + at(13) + at(14);
    return { pid, name: nameOf(pid), parent: at(1), seconds: ticks / TICKS };
  } catch {
    return undefined;
  }
}

/** A process that is about to end has no command line any more. */
const names = new Map<number, string>();

function nameOf(pid: number): string {
  const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
  // A script is the second word, after its interpreter.
  const program = words[0]?.endsWith('node') ? words[1] : words[0];
  if (program) names.set(pid, basename(program));
  return names.get(pid) ?? '';
}

function proportionalKilobytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
