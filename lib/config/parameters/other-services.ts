/** Services with a parameter or two: anvil(8), flush(8), scache(8), qmqpd(8), dnsblog(8), pipe(8), spawn(8). */
import { bool, list, maps, seconds } from '../kind.ts';

export const otherServicesParameters = {
  anvil_rate_time_unit: seconds('60s', { min: 1 }),
  anvil_status_update_time: seconds('600s', { min: 1 }),
  connection_cache_status_update_time: seconds('600s', { min: 1 }),
  connection_cache_ttl_limit: seconds('2s', { min: 1 }),
  dnsblog_reply_delay: seconds('0s'),
  fast_flush_purge_time: seconds('7d', { min: 1 }),
  fast_flush_refresh_time: seconds('12h', { min: 1 }),
  pipe_delivery_status_filter: maps('$default_delivery_status_filter'),
  qmqpd_authorized_clients: list(''),
  qmqpd_client_port_logging: bool('no'),
  qmqpd_error_delay: seconds('1s'),
  qmqpd_timeout: seconds('300s', { min: 1 }),
};
