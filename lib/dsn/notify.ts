/** What a sender asks to be told: RFC 3461 NOTIFY and RET. */

/** Bits of a recipient's NOTIFY; 0 means the sender did not say. */
export const NOTIFY = { never: 1, success: 2, failure: 4, delay: 8 } as const;

/** How much of the message comes back; 0 means the sender did not say. */
export const RET = { full: 1, headers: 2 } as const;

/** Whether a failure of this recipient is reported to the sender. */
export function wantsFailure(notify: number): boolean {
  return notify === 0 || (notify & NOTIFY.failure) !== 0;
}

/** Whether a delay of this recipient is reported to the sender. */
export function wantsDelay(notify: number): boolean {
  return notify === 0 || (notify & NOTIFY.delay) !== 0;
}
