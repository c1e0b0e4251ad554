/** Parameters named after a transport: `slow_destination_concurrency_limit`. */
import { int, type Parameter, seconds, text } from './kind.ts';

/** What may follow a transport's name and `_`, and what holds when it is not set. */
export const TRANSPORT_PARAMETERS = {
  delivery_slot_cost: int('$default_delivery_slot_cost'),
  delivery_slot_discount: int('$default_delivery_slot_discount', { max: 100 }),
  delivery_slot_loan: int('$default_delivery_slot_loan'),
  destination_concurrency_failed_cohort_limit: int(
    '$default_destination_concurrency_failed_cohort_limit',
  ),
  destination_concurrency_limit: int('$default_destination_concurrency_limit'),
  destination_concurrency_negative_feedback: text(
    '$default_destination_concurrency_negative_feedback',
  ),
  destination_concurrency_positive_feedback: text(
    '$default_destination_concurrency_positive_feedback',
  ),
  destination_rate_delay: seconds('$default_destination_rate_delay'),
  destination_recipient_limit: int('$default_destination_recipient_limit'),
  extra_recipient_limit: int('$default_extra_recipient_limit'),
  initial_destination_concurrency: int('$initial_destination_concurrency', { min: 1 }),
  minimum_delivery_slots: int('$default_minimum_delivery_slots'),
  recipient_limit: int('$default_recipient_limit'),
  recipient_refill_delay: seconds('$default_recipient_refill_delay', { min: 1 }),
  recipient_refill_limit: int('$default_recipient_refill_limit', { min: 1 }),
  time_limit: seconds('$command_time_limit', { min: 1 }),
  transport_rate_delay: seconds('$default_transport_rate_delay'),
} satisfies Record<string, Parameter>;

export function transportParameter(suffix: string): Parameter | undefined {
  return Object.hasOwn(TRANSPORT_PARAMETERS, suffix)
    ? TRANSPORT_PARAMETERS[suffix as keyof typeof TRANSPORT_PARAMETERS]
    : undefined;
}
