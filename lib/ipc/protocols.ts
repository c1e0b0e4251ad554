/** What each server announces as soon as it has accepted a client. ipc.md 2.3. */
export const PROTOCOLS = {
  cleanup: 'cleanup_protocol',
  delivery: 'delivery_request_protocol',
  bounce: 'delivery_status_protocol',
  rewrite: 'trivial_rewrite_protocol',
  // The double r is on the wire.
  verify: 'address_verification_prrotocol',
  flush: 'queue_flush_protocol',
  anvil: 'anvil_protocol',
  showq: 'mail_queue_list_protocol',
  proxymap: 'proxymap_protocol',
  tlsmgr: 'tlsmgr_protocol',
  scache: 'connection_cache_protocol',
  tlsproxy: 'tlsproxy_protocol',
  postdrop: 'postdrop_protocol',
} as const;
