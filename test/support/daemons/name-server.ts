/** A name server in a process of its own, for tests that wait for programs: its zone is its argument. */
import type { TestContext } from 'node:test';
import { startDnsServer, type Zone } from '../dns-server.ts';

const forever = { after() {} } as unknown as TestContext;
const zone = JSON.parse(process.argv[2] ?? '{}') as Zone;
void startDnsServer(forever, zone, 53).then(() => process.stdout.write('ready\n'));
