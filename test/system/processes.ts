/** The processes of an instance, as the kernel sees them. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename } from 'node:path';
import { eventually } from '../support/condition.ts';
import type { MailSystem } from '../support/mail-system.ts';

export interface Process {
  readonly pid: number;
  /** `qmgr`, `master` ... */
  readonly name: string;
}

/** All daemons that work in an instance's queue directory, master included. */
export function processesOf(mail: MailSystem): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid && worksIn(pid, mail.queue))
    .map((pid) => ({ pid, name: nameOf(pid) }));
}

/** Waits until no process of the instance is left. */
export async function waitUntilGone(mail: MailSystem): Promise<void> {
  await eventually('the end of all processes', () => processesOf(mail).length === 0);
}

/** A process's peak and present resident memory, bytes. */
export function memoryOf(pid: number): { readonly peakBytes: number; readonly nowBytes: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const bytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
  return { peakBytes: bytes('VmHWM'), nowBytes: bytes('VmRSS') };
}

function worksIn(pid: number, folder: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === folder;
  } catch {
    return false;
  }
}

/** Node's programs have their own file as the second word. */
function nameOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0');
    const program = basename(words[0] ?? '') === 'node' ? words[1] : words[0];
    return basename(program ?? '').replace(/\.cjs$/, '');
  } catch {
    return '';
  }
}
