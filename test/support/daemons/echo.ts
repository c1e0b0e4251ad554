/** Answers each line of a client in capitals, and leaves at `quit`. `crash` throws. */
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { runConnectionServer } from '../../../lib/server/connection-server.ts';

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
      if (line === 'token') {
        socket.write(`${context.flow.takeToken()}\n`);
        continue;
      }
      if (!socket.write(`${line.toUpperCase()}\n`)) await once(socket, 'drain');
    }
    socket.write('bye\n');
  },
});
