/** The socket of postlogd, as far as a test needs it: collects the lines that daemons send. */
import { closeSync } from 'node:fs';
import type { TestContext } from 'node:test';
import { every } from '../../lib/clock/clock.ts';
import { bindUnixDatagram, receiveDatagram } from '../../lib/os/sockets.ts';
import { atEnd } from './cleanup.ts';

const LINE_BYTES_MAX = 4096;
const DRAIN_MS = 10;

export interface LogSocket {
  /** All lines so far, each with its end. */
  lines(): string[];
}

export function logSocket(t: TestContext, path: string): LogSocket {
  const fd = bindUnixDatagram(path, 0o666);
  const lines: string[] = [];
  const drain = () => {
    for (let line = receive(fd); line !== undefined; line = receive(fd)) lines.push(`${line}\n`);
  };
  // The kernel holds ten or so; then a daemon waits.
  const timer = every(DRAIN_MS, drain);
  atEnd(t, () => {
    timer.stop();
    closeSync(fd);
  });
  return {
    lines() {
      drain();
      return lines;
    },
  };
}

function receive(fd: number): string | undefined {
  return receiveDatagram(fd, LINE_BYTES_MAX)?.toString();
}
