/** A multi server: `question` is answered by `answer`, after so many turns of the event loop. */
import { formatAttributes } from '../../../lib/ipc/attributes.ts';
import { int, str } from '../../../lib/ipc/fields.ts';
import { PROTOCOLS } from '../../../lib/ipc/protocols.ts';
import { runMultiServer } from '../../../lib/server/multi-server.ts';

runMultiServer({
  name: 'multi',
  parameters: [],
  protocol: PROTOCOLS.rewrite,
  async serve(connection) {
    for (;;) {
      const request = await connection.receive({ request: str, turns: int });
      if (request === undefined) return;
      for (let turn = 0; turn < request.turns; turn += 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      await connection.send(formatAttributes([['answer', request.request.toUpperCase()]]));
    }
  },
});
