/** virtual(8): the virtual mailbox delivery agent. */
import { int, list, maps, size, text } from '../kind.ts';

export const virtualParameters = {
  virtual_delivery_status_filter: maps('$default_delivery_status_filter'),
  virtual_gid_maps: maps(''),
  virtual_mailbox_base: text('', { min: 1 }),
  virtual_mailbox_limit: size('51200000'),
  virtual_mailbox_lock: list('fcntl, dotlock', { min: 1 }),
  virtual_mailbox_maps: maps(''),
  virtual_minimum_uid: int('100', { min: 1 }),
  virtual_uid_maps: maps(''),
};
