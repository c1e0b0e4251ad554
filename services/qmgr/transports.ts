import type { Configuration } from '../../lib/config/configuration.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { type Feedback, parseFeedback, type TransportLimits } from './settings.ts';
import { Transport, type TransportDuties } from './transport.ts';

/** Names from tables are many, mistakes among them: those without mail are forgotten. */
const TRANSPORTS_MAX = 1000;

/** The transports that have mail, or are dead. */
export class Transports {
  readonly #configuration: Configuration;
  readonly #dutiesOf: (name: string) => TransportDuties;
  readonly #byName = new Map<string, Transport>();

  constructor(configuration: Configuration, dutiesOf: (name: string) => TransportDuties) {
    this.#configuration = configuration;
    this.#dutiesOf = dutiesOf;
  }

  find(name: string): Transport {
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    if (this.#byName.size >= TRANSPORTS_MAX) this.#forgetIdle();
    const transport = new Transport(name, this.#limitsOf(name), this.#dutiesOf(name));
    this.#byName.set(name, transport);
    return transport;
  }

  /** Forgets which transports and destinations are dead: `postqueue -f`. */
  reviveAll(): void {
    for (const transport of this.#byName.values()) {
      transport.revive();
      for (const destination of [...transport.destinations]) destination.revive();
    }
  }

  close(): void {
    for (const transport of this.#byName.values()) transport.close();
  }

  #forgetIdle(): void {
    for (const [name, transport] of this.#byName) {
      if (!transport.idle) continue;
      transport.close();
      this.#byName.delete(name);
    }
  }

  #limitsOf(name: string): TransportLimits {
    const number = (suffix: string) =>
      Number(this.#configuration.valueForTransport(name, suffix) ?? 0);
    return {
      concurrency: number('destination_concurrency_limit'),
      initialConcurrency: number('initial_destination_concurrency'),
      recipients: number('destination_recipient_limit'),
      failedCohorts: number('destination_concurrency_failed_cohort_limit'),
      positiveFeedback: this.#feedback(name, 'destination_concurrency_positive_feedback'),
      negativeFeedback: this.#feedback(name, 'destination_concurrency_negative_feedback'),
      destinationDelay: number('destination_rate_delay'),
      transportDelay: number('transport_rate_delay'),
      slots: {
        cost: number('delivery_slot_cost'),
        loan: number('delivery_slot_loan'),
        discount: number('delivery_slot_discount'),
        minimumSlots: number('minimum_delivery_slots'),
      },
      recipientsInMemory: number('recipient_limit'),
      recipientsInReserve: number('extra_recipient_limit'),
      refillRecipients: number('recipient_refill_limit'),
      refillDelay: number('recipient_refill_delay'),
    };
  }

  #feedback(transport: string, suffix: string): Feedback {
    const text = String(this.#configuration.valueForTransport(transport, suffix) ?? '1');
    const feedback = parseFeedback(text);
    if (feedback !== undefined) return feedback;
    throw new FatalError(
      `${transport}_${suffix}: bad feedback ${text}; say a number from 0 to 1, ` +
        'or number / concurrency, or number / sqrt_concurrency',
    );
  }
}
