/** The milters of a client, asked one after the other until one has a verdict. Postfix: milter(3). */
import type { MacroSource } from './macros.ts';
import { Milter, type MilterSurroundings } from './milter.ts';
import { formatLongs, terminated } from './packet.ts';
import type { MilterSettings } from './settings.ts';
import type { Verdict } from './verdict.ts';

/** Whom a milter is told of. */
export interface MilterClient {
  /** A name, or the address in brackets. */
  readonly name: string;
  readonly address: string;
  /** 0 when it is not known. */
  readonly port: number;
}

export class Milters {
  readonly list: readonly Milter[];
  readonly #macros: MacroSource;

  constructor(list: readonly Milter[], macros: MacroSource) {
    this.list = list;
    this.#macros = macros;
  }

  /** Milters that nobody has connected to yet. */
  static prepare(
    settings: readonly MilterSettings[],
    around: MilterSurroundings,
    macros: MacroSource,
  ): Milters {
    return new Milters(
      settings.map((one) => new Milter(one, around)),
      macros,
    );
  }

  connect(client: MilterClient): Promise<Verdict | undefined> {
    const data = formatClient(client);
    return this.#each((milter) => milter.connect(this.#macros, data));
  }

  helo(name: string): Promise<Verdict | undefined> {
    const data = Buffer.from(terminated(name), 'latin1');
    return this.#each((milter) => milter.tell('helo', this.#macros, data));
  }

  /** @param words the address as the client wrote it, and its parameters */
  mail(words: readonly string[]): Promise<Verdict | undefined> {
    const data = formatWords(words);
    return this.#each((milter) => milter.tell('mail', this.#macros, data));
  }

  /** @param isRejected we have refused it: only those hear of it who want to */
  rcpt(words: readonly string[], isRejected = false): Promise<Verdict | undefined> {
    const data = formatWords(words);
    return this.#each((milter) =>
      isRejected && !milter.wantsRejectedRecipients
        ? undefined
        : milter.tell('rcpt', this.#macros, data),
    );
  }

  data(): Promise<Verdict | undefined> {
    return this.#each((milter) => milter.tell('data', this.#macros, NOTHING));
  }

  unknown(line: string): Promise<Verdict | undefined> {
    const data = Buffer.from(terminated(line), 'latin1');
    return this.#each((milter) => milter.tell('unknown', this.#macros, data));
  }

  /** The first verdict on the client that is not about one event: it refuses whatever it asks for. */
  get standing(): Verdict | undefined {
    for (const { standing } of this.list) if (standing !== undefined) return standing;
    return undefined;
  }

  abort(): void {
    for (const milter of this.list) milter.abort();
  }

  quit(): void {
    for (const milter of this.list) milter.quit();
  }

  release(): void {
    for (const milter of this.list) milter.release();
  }

  async #each(
    tell: (milter: Milter) => Promise<Verdict | undefined> | Verdict | undefined,
  ): Promise<Verdict | undefined> {
    for (const milter of this.list) {
      const told = tell(milter);
      const verdict = told instanceof Promise ? await told : told;
      if (verdict !== undefined) return verdict;
    }
    return undefined;
  }
}

const NOTHING = Buffer.alloc(0);

function formatWords(words: readonly string[]): Buffer {
  return Buffer.from(words.map(terminated).join(''), 'latin1');
}

/** The families of the protocol: a socket, an address, or nothing that it knows. */
function formatClient({ name, address, port }: MilterClient): Buffer {
  const start = terminated(name);
  if (address === '' || address === 'unknown') return Buffer.from(`${start}U`, 'latin1');
  const isV6 = address.includes(':');
  const bytes = formatLongs(port).subarray(2);
  return Buffer.from(
    `${start}${isV6 ? '6' : '4'}${bytes.toString('latin1')}${terminated(address)}`,
    'latin1',
  );
}
