/** Which OpenSSL this process has. */
import { declare } from './native.ts';

const version = declare<string>('const char *OpenSSL_version(int what)');

/** `OpenSSL 3.0.19 27 Jan 2026`, as the library says it. */
export function opensslVersion(): string {
  try {
    return version(0);
  } catch {
    // A Node whose library is hidden in it still knows the number.
    return `OpenSSL ${process.versions.openssl}`;
  }
}
