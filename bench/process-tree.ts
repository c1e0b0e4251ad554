/** CPU and memory of master and all its daemons, read from /proc. */
import { readdirSync, readFileSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second. */
const TICKS = 100;

interface ProcessTimes {
  readonly pid: number;
  readonly parent: number;
  /** Seconds: its own, and those of children it has waited for. */
  readonly seconds: number;
}

/** CPU seconds that a process and its descendants have used, those that ended included. */
export function cpuSeconds(root: number): number {
  const tree = new Set([root]);
  let sum = 0;
  for (const { pid, parent, seconds } of processes()) {
    if (!tree.has(pid) && !tree.has(parent)) continue;
    tree.add(pid);
    sum += seconds;
  }
  return sum;
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
    return { pid, parent: at(1), seconds: ticks / TICKS };
  } catch {
    return undefined;
  }
}

function proportionalKilobytes(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
    return Number(/^Pss:\s+(\d+)/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
