/** `postqueue -p` and `-j`: asks showq(8), or, as root when the mail system is down, starts it. */
import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { type ListedMessage, listQueue, messagesOf } from '../../lib/clients/showq.ts';
import type { Configuration } from '../../lib/config/configuration.ts';
import { IpcConnection } from '../../lib/ipc/connection.ts';
import { IpcError } from '../../lib/ipc/error.ts';
import { formatJson } from './json.ts';
import { QueueListing } from './listing.ts';

export type ListingForm = 'text' | 'json';

/** Output is collected up to this. */
const OUTPUT_CHARACTERS = 32 * 1024;

/**
 * Prints the queue. The working directory is the queue directory.
 *
 * @throws {Error} with Postfix's text when there is no list
 */
export async function showQueue(
  configuration: Configuration,
  form: ListingForm,
  warn: (text: string) => Promise<void>,
): Promise<void> {
  const timeoutMs = configuration.get('ipc_timeout') * 1000;
  const path = `public/${configuration.get('showq_service_name')}`;
  const printer = new Printer(configuration, form);
  try {
    await printer.printAll(listQueue(path, timeoutMs));
  } catch (error) {
    if (!(error instanceof IpcError)) throw error;
    const cause = connectTrouble(error, configuration);
    if (cause === undefined) throw new Error('malformed showq server response', { cause: error });
    if (process.geteuid?.() !== 0) throw new Error(unavailable(cause, configuration));
    await warn(`Mail system is down -- accessing queue directly (${cause})`);
    await printer.printAll(listDirectly(configuration, timeoutMs));
  }
}

/** Why there was no connection, in Postfix's words; undefined when the trouble came later. */
function connectTrouble(error: IpcError, configuration: Configuration): string | undefined {
  const why = /^connect to [^:]*: (.*)$/s.exec(error.message)?.[1];
  if (why === undefined) return undefined;
  return `Connect to the ${configuration.get('mail_name')} showq service: ${why}`;
}

function unavailable(cause: string, configuration: Configuration): string {
  if (!cause.endsWith('Permission denied')) {
    return `Queue report unavailable - mail system is down (${cause})`;
  }
  const group = configuration.get('setgid_group');
  return `Queue report unavailable - ${cause}; run this as root or as a member of group ${group}`;
}

/** showq without a mail system: it may read the queue, as mail_owner. */
async function* listDirectly(
  configuration: Configuration,
  timeoutMs: number,
): AsyncGenerator<ListedMessage, void, undefined> {
  const program = join(configuration.get('daemon_directory'), 'showq');
  const child = spawn(program, ['-u', '-S'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, MAIL_CONFIG: configuration.directory },
  });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new Error(`${program}: ${error.message}`)));
  });
  failed.catch(() => {});
  const connection = new IpcConnection(child.stdout as Socket, timeoutMs, { peer: program });
  try {
    const messages = messagesOf(connection);
    for (;;) {
      const next = await Promise.race([messages.next(), failed]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    connection.abort();
  }
}

/** Collects small pieces, and waits for a slow reader. */
class Printer {
  readonly #form: ListingForm;
  readonly #listing: QueueListing;
  #text = '';

  constructor(configuration: Configuration, form: ListingForm) {
    this.#form = form;
    this.#listing = new QueueListing(configuration.get('enable_long_queue_ids'));
  }

  async printAll(messages: AsyncIterable<ListedMessage>): Promise<void> {
    for await (const message of messages) {
      this.#text += this.#form === 'json' ? formatJson(message) : this.#listing.message(message);
      if (this.#text.length > OUTPUT_CHARACTERS) await this.#flush();
    }
    if (this.#form === 'text') this.#text += this.#listing.end();
    await this.#flush();
  }

  async #flush(): Promise<void> {
    const text = this.#text;
    this.#text = '';
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(text, (error) => (error ? reject(error) : resolve()));
    });
  }
}
