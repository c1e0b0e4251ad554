/**
 * A daemon of a few lines for tests of master: a Node program that master starts, with `behaviour`
 * as its body. It finds `listen(handler)`, `report(free)`, `note(text)` and `facts` there.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PRELUDE = (journal: string) => `#!${process.execPath}
const fs = require('node:fs');
const net = require('node:net');
const note = (text) => fs.appendFileSync(${JSON.stringify(journal)}, text + '\\n');
const generation = parseInt(process.env.GENERATION, 8);
const report = (free) => {
  const message = Buffer.alloc(12);
  message.writeInt32LE(process.pid, 0);
  message.writeInt32LE(generation, 4);
  message.writeInt32LE(free, 8);
  fs.writeSync(5, message);
};
const listen = (handler) => net.createServer(handler).listen({ fd: 6 });
const facts = { argv: process.argv.slice(2), env: process.env, cwd: process.cwd(), uid: process.getuid() };
// The end of the status channel is master's word that we may go.
new net.Socket({ fd: 5, readable: true }).on('end', () => process.exit(0)).resume();
`;

/** Writes the program into `directory`; what it notes is found in `journal`. */
export function writeScriptedDaemon(
  directory: string,
  name: string,
  journal: string,
  behaviour: string,
): void {
  const path = join(directory, name);
  writeFileSync(path, `${PRELUDE(journal)}${behaviour}\n`);
  chmodSync(path, 0o755);
}
