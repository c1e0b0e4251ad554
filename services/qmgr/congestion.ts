import { now } from '../../lib/clock/clock.ts';
import type { Core } from './core.ts';
import type { Destination } from './destination.ts';

/** Warns when mail for one destination fills the active queue, and says what may help. */
export function warnOfCongestion(core: Core, destination: Destination): void {
  const { settings, log, active } = core;
  const { transport, busy, nexthop } = destination;
  const entries = destination.todo + busy;
  const limit = settings.qmgr_message_active_limit;
  // The usual case ends here.
  if (entries <= limit / 5 || !settings.helpful_warnings) return;
  const seconds = now() / 1000;
  if (settings.qmgr_clog_warn_time <= 0 || seconds < destination.nextWarningAt) return;
  destination.nextWarningAt = seconds + settings.qmgr_clog_warn_time;
  const share = entries / active.size;
  log.warn(`mail for ${nexthop} is using up ${entries} of ${active.size} active queue entries`);
  if (share < 0.9) log.warn('this may slow down other mail deliveries');
  const { concurrency } = transport.limits;
  if (concurrency > 0 && concurrency <= busy) {
    const name = `${transport.name}_destination_concurrency_limit`;
    log.warn(`you may need to increase the main.cf ${name} from ${concurrency}`);
  } else if (destination.window > limit * share) {
    log.warn(`you may need to increase the main.cf qmgr_message_active_limit from ${limit}`);
  } else if (!transport.isAlone(destination)) {
    log.warn(`you may need a separate master.cf transport for ${nexthop}`);
  } else {
    log.warn(`you may need to reduce ${transport.name} connect and helo timeouts`);
    log.warn('so that Postfix quickly skips unavailable hosts');
    log.warn('you may need to increase the main.cf minimal_backoff_time and maximal_backoff_time');
    log.warn('so that Postfix wastes less time on undeliverable mail');
    log.warn(`you may need to increase the master.cf ${transport.name} process limit`);
  }
  log.warn('please avoid flushing the whole queue when you have');
  log.warn('lots of deferred mail, that is bad for performance');
  log.warn('to turn off these warnings specify: qmgr_clog_warn_time = 0');
}
