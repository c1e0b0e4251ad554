/** Logs the bytes of triggers; a client that begins with `submit` is answered. */
import { str } from '../../../lib/ipc/fields.ts';
import { runTriggerServer } from '../../../lib/server/trigger-server.ts';

runTriggerServer({
  name: 'trigger',
  parameters: [],
  trigger(bytes, context) {
    context.log.info(`woken by ${JSON.stringify(bytes.toString('latin1'))}`);
    context.log.flush();
  },
  isRequest: (bytes) => bytes.subarray(0, 7).toString('latin1') === 'submit\0',
  async serve(connection) {
    const request = await connection.receive({ submit: str });
    await connection.send([['status', request?.submit.length ?? 0]]);
  },
});
