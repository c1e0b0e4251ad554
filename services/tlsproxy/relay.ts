/** Carries what a server and its client say to each other. */
import type { Duplex } from 'node:stream';
import { after, monotonic } from '../../lib/clock/clock.ts';

/** For one side to take what is left, and to say good bye, once the other has nothing more to say. */
const CLOSE_MS = 5000;
/** For the system to take what we have for a client that says no more. */
const ENDED_MS = 100;

/**
 * Carries bytes both ways until both sides have ended, or the client is gone: then both are closed.
 *
 * @param limitMs how long nobody may say anything
 * @returns whether that was too long
 */
export function relay(server: Duplex, client: Duplex, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    let isSilent = false;
    let heardAt = monotonic();
    const hear = () => {
      heardAt = monotonic();
    };
    const close = () => {
      timer.stop();
      server.destroy();
      client.destroy();
      resolve(isSilent);
    };
    const look = () => {
      const remaining = heardAt + limitMs - monotonic();
      isSilent = remaining <= 0;
      if (isSilent) close();
      else timer = after(remaining, look);
    };
    let timer = after(limitMs, look);
    // Node never tells what becomes of writes to a client that has left: it is not waited for.
    const closeSoon = (ms: number) => {
      timer.stop();
      timer = after(ms, close);
    };
    server.on('data', hear).on('error', () => {});
    client.on('data', hear).on('error', () => {});
    client.once('end', () => closeSoon(CLOSE_MS));
    client.once('close', close);
    server.once('end', () => closeSoon(client.readableEnded ? ENDED_MS : CLOSE_MS));
    server.once('close', () => {
      client.end();
      closeSoon(client.readableEnded ? ENDED_MS : CLOSE_MS);
    });
    server.pipe(client);
    client.pipe(server);
    if (client.destroyed || server.destroyed || server.readableEnded) close();
  });
}
