/** The names under which the services meet in `private/` and `public/`. */
import { text } from '../kind.ts';

export const serviceNamesParameters = {
  address_verify_service_name: text('verify', { min: 1 }),
  bounce_service_name: text('bounce', { min: 1 }),
  cleanup_service_name: text('cleanup', { min: 1 }),
  defer_service_name: text('defer', { min: 1 }),
  error_service_name: text('error', { min: 1 }),
  flush_service_name: text('flush', { min: 1 }),
  pickup_service_name: text('pickup', { min: 1 }),
  queue_service_name: text('qmgr', { min: 1 }),
  rewrite_service_name: text('rewrite', { min: 1 }),
  showq_service_name: text('showq', { min: 1 }),
  tlsmgr_service_name: text('tlsmgr', { min: 1 }),
  trace_service_name: text('trace', { min: 1 }),
};
