/** verify(8): address verification. */
import { maps, seconds, text } from '../kind.ts';

export const verifyParameters = {
  address_verify_cache_cleanup_interval: seconds('12h'),
  address_verify_map: maps('btree:$data_directory/verify_cache'),
  address_verify_negative_expire_time: seconds('3d', { min: 1 }),
  address_verify_negative_refresh_time: seconds('3h', { min: 1 }),
  address_verify_positive_expire_time: seconds('31d', { min: 1 }),
  address_verify_positive_refresh_time: seconds('7d', { min: 1 }),
  address_verify_sender: text('$double_bounce_sender'),
  address_verify_sender_ttl: seconds('0s'),
};
