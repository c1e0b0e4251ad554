/** Answers each line of a client in capitals, and leaves at `quit`; some words do other things. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { runConnectionServer } from '../../../lib/server/connection-server.ts';
import type { ServiceContext } from '../../../lib/server/service.ts';

const ANSWERS: Readonly<Record<string, (context: ServiceContext) => string>> = {
  token: ({ flow }) => String(flow.takeToken()),
  identity: () => `${process.getuid?.()} ${process.getgid?.()} ${process.getgroups?.()}`,
  directory: () => process.cwd(),
};

runConnectionServer({
  name: 'echo',
  parameters: ['myhostname'],
  takesArguments: true,
  async serve(socket, context, _state, passed) {
    const client = passed === undefined ? '' : ` ${passed.clientAddress}:${passed.clientPort}`;
    socket.write(`${context.parameters.myhostname} ${context.serviceName}${client}\n`);
    for await (const line of createInterface({ input: socket })) {
      if (line === 'quit') break;
      if (line === 'crash') throw new TypeError('crashed on purpose');
      if (line === 'die') setImmediate(() => Promise.reject(new TypeError('died on purpose')));
      if (line === 'spin') for (;;);
      const answer = ANSWERS[line]?.(context) ?? line.toUpperCase();
      if (!socket.write(`${answer}\n`)) await once(socket, 'drain');
    }
    socket.write('bye\n');
  },
});
