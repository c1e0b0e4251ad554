/**
 * What a session is granted, and less of it when there are too many: `${stress?{10}:{300}}s`.
 * STRESS_README.
 *
 * Postfix's master tells new processes, which serve one client each, that there is stress. Ours tells
 * them, too; but a process that serves many lives on. So it finds out by itself: the client that takes
 * its last slot is served as if there were stress, and so is whoever takes that slot after it.
 */
import type { ServiceContext } from '../../lib/server/service.ts';
import type { PARAMETERS } from './parameters.ts';
import type { Settings } from './rule.ts';

const NAMES = [
  'smtpd_hard_error_limit',
  'smtpd_junk_command_limit',
  'smtpd_per_request_deadline',
  'smtpd_timeout',
] as const;

export type Pace = Pick<Settings, (typeof NAMES)[number]>;

/** `undefined`: master does not tell this service of stress, or each process has one client. */
export function readPaceUnderStress({
  configuration,
  slots,
}: ServiceContext<(typeof PARAMETERS)[number]>): Pace | undefined {
  const isTold = configuration.isSet('stress') && configuration.text('stress') === '';
  return isTold && slots > 1 ? configuration.withSetting('stress', 'yes').select(NAMES) : undefined;
}
