/**
 * What a delivery agent tells about one recipient: the DSN group of Postfix's protocols, and the
 * RFC 3464 fields a notice is made of. Every field is text; `''` means there is none.
 */
export interface DsnDetail {
  /** RFC 3463, e.g. `5.1.1`. */
  readonly status: string;
  /** RFC 3464 diagnostic: `smtp` or `x-unix`, and what was said. */
  readonly diagType: string;
  readonly diagText: string;
  /** The remote MTA: `dns`, and its name. */
  readonly mtaType: string;
  readonly mtaName: string;
  /** `delivered`, `relayed`, `expanded`, `delayed`, `failed`, ... */
  readonly action: string;
  /** The reason, as it is logged. */
  readonly reason: string;
}

/** No detail at all: what an agent answers when every recipient was recorded already. */
export const NO_DETAIL: DsnDetail = Object.freeze({
  status: '',
  diagType: '',
  diagText: '',
  mtaType: '',
  mtaName: '',
  action: '',
  reason: '',
});
