/** Cipher grades and exclusions, as OpenSSL wants to hear them. Pure. TLS_README. */
import { splitList } from '../config/list.ts';
import { TlsSettingError } from './protocols.ts';

/** `tls_high_cipherlist` and its like, by the grade that each stands for. */
export interface CipherGrades {
  readonly high: string;
  readonly medium: string;
  readonly low: string;
  readonly export: string;
  readonly null: string;
}

/**
 * The cipher list of a grade, without what is excluded. TLS 1.3 has suites of its own, which no
 * grade and no exclusion is about.
 *
 * @throws {TlsSettingError} when there is no such grade, or an exclusion is more than a name
 */
export function cipherList(
  grade: string,
  exclusions: readonly string[],
  grades: CipherGrades,
): string {
  const known = Object.keys(grades).find((name) => name === grade.toLowerCase());
  if (known === undefined) throw new TlsSettingError(`invalid cipher grade: "${grade}"`);
  const excluded = exclusions.flatMap((text) => splitList(text.replaceAll(':', ' ')));
  for (const word of excluded) {
    if (/^[!+@-]/.test(word)) {
      throw new TlsSettingError(`invalid unary '!+-@' in cipher exclusion: ${word}`);
    }
  }
  return [grades[known as keyof CipherGrades], ...excluded.map((word) => `!${word}`)].join(':');
}

/** Bits of the key that a cipher uses, and of the algorithm: OpenSSL's name tells. */
export function cipherBits(name: string): readonly [used: number, algorithm: number] {
  if (/AES_?256|CHACHA20|CAMELLIA_?256|ARIA_?256|GOST/.test(name)) return [256, 256];
  if (/AES_?128|CAMELLIA_?128|ARIA_?128|SEED|RC4|IDEA/.test(name)) return [128, 128];
  if (/DES-CBC3|3DES/.test(name)) return [112, 168];
  return [0, 0];
}
