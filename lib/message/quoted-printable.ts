/** The only importer of libqp. */
import { encode, wrap } from 'libqp';

/** RFC 2045 6.7. */
const LINE_MAX = 76;

/**
 * One line, or a piece of one, in quoted-printable; no line end in or out.
 *
 * @param continued more of the line follows: a soft line break hides that this is not its end
 */
export function encodeLine(line: Buffer, continued: boolean): string {
  const encoded = encode(line).replaceAll('\r', '=0D');
  return wrap(encoded, LINE_MAX) + (continued ? '=' : '');
}
