import type { DsnDetail } from '../dsn/detail.ts';
import type { Attribute } from '../ipc/attributes.ts';
import { str } from '../ipc/fields.ts';

/** The DSN group of several protocols. ipc.md 2.6. */
export const DETAIL_FIELDS = {
  status: str,
  diagType: str.named('diag_type'),
  diagText: str.named('diag_text'),
  mtaType: str.named('mta_type'),
  mtaName: str.named('mta_mname'),
  action: str,
  reason: str,
};

/** The DSN group, in the order of the wire. */
export function detailAttributes(detail: DsnDetail): Attribute[] {
  return [
    ['status', detail.status],
    ['diag_type', detail.diagType],
    ['diag_text', detail.diagText],
    ['mta_type', detail.mtaType],
    ['mta_mname', detail.mtaName],
    ['action', detail.action],
    ['reason', detail.reason],
  ];
}
