/** Sessions of processes. */
import { checked } from './error.ts';
import { declare } from './native.ts';

const setsidCall = declare('int setsid()');

/** Makes this process the leader of a session of its own, without a terminal. */
export function setsid(): number {
  return checked(setsidCall(), 'setsid', 'this process');
}

/** The same, unless a shell or a supervisor has already made this process lead its group. */
export function becomeSessionLeader(): void {
  if (setsidCall() < 0 && !leadsGroup()) setsid();
}

const getpgid = declare('int getpgid(int pid)');

function leadsGroup(): boolean {
  return getpgid(0) === process.pid;
}
