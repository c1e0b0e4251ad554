declare module 'libqp' {
  /** Every byte in; quoted-printable out, without soft line breaks. */
  export function encode(bytes: Buffer): string;
  /** Puts soft line breaks into long lines. */
  export function wrap(text: string, lineLength?: number): string;
}
