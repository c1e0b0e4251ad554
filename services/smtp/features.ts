import { type Extensions, sizeLimit } from '../../lib/smtp/extensions.ts';

/** What a server can do that is of use to us. */
export interface Features {
  readonly pipelining: boolean;
  readonly size: boolean;
  /** Bytes; 0: no limit told. */
  readonly sizeLimit: number;
  readonly eightBitMime: boolean;
  readonly dsn: boolean;
  readonly smtputf8: boolean;
  /** XFORWARD attributes it takes: NAME, ADDR ... */
  readonly xforward: ReadonlySet<string>;
  /** Wait before the final dot: an old firewall chokes on it otherwise. */
  readonly delayDot: boolean;
}

export const NO_FEATURES: Features = {
  pipelining: false,
  size: false,
  sizeLimit: 0,
  eightBitMime: false,
  dsn: false,
  smtputf8: false,
  xforward: new Set(),
  delayDot: false,
};

export function featuresOf(extensions: Extensions): Features {
  const xforward = extensions.get('XFORWARD') ?? [];
  return {
    pipelining: extensions.has('PIPELINING'),
    size: extensions.has('SIZE'),
    sizeLimit: sizeLimit(extensions),
    eightBitMime: extensions.has('8BITMIME'),
    dsn: extensions.has('DSN'),
    smtputf8: extensions.has('SMTPUTF8'),
    xforward: new Set(xforward.map((attribute) => attribute.toUpperCase())),
    delayDot: false,
  };
}
