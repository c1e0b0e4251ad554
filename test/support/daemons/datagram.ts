/** Logs each datagram. */
import { runDatagramServer } from '../../../lib/server/datagram-server.ts';

runDatagramServer({
  name: 'datagram',
  parameters: [],
  receive(bytes, context) {
    context.log.info(`received ${bytes.length} bytes: ${bytes.toString('latin1', 0, 20)}`);
    context.log.flush();
  },
});
