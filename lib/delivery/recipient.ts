/** One recipient of a delivery request, in the unquoted form that queue files use. */
export interface Recipient {
  /** The address before cleanup's virtual mapping; '' when nobody recorded it. */
  readonly original: string;
  /** Where the mail goes. */
  readonly address: string;
  /** Where its record starts in the queue file; -1: there is none to mark. */
  readonly offset: number;
  /** RFC 3461 ORCPT, `rfc822;bob@example.com`; '' when absent. */
  readonly dsnOriginal: string;
  /** RFC 3461 NOTIFY as bits (lib/dsn/notify.ts); 0 when absent. */
  readonly notify: number;
}
