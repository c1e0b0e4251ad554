/** What OpenSSL says of a failure, as Postfix logs it. Pure. */

/** `thread:error:code:library:function:reason:file:line:data` */
const STACK_LINE =
  /^[0-9A-F]+:(error:[0-9A-F]+:[^:]*):[^:]*:([^:]*):(?:\.\.\/deps\/openssl\/openssl\/|\.\.\/)?([^:]*):(\d+):(.*)$/;

/** The lines of an error of Node's TLS; none, when it was not OpenSSL's. */
export function libraryErrors(error: unknown): string[] {
  const { message = '', opensslErrorStack = [] } = error as {
    message?: string;
    opensslErrorStack?: readonly string[];
  };
  const found = message.split('\n').flatMap((line) => {
    const [, start, reason, file, number, data] = STACK_LINE.exec(line) ?? [];
    if (start === undefined) return [];
    return [`${start}::${reason}:../${file}:${number}:${data === '' ? '' : `${data}:`}`];
  });
  if (found.length > 0) return found;
  const own = /^error:[0-9A-F]+:/.test(message) ? [message] : [];
  return [...own, ...[...opensslErrorStack].reverse()].map((text) => `${text}:`);
}

/** OpenSSL's words for a certificate that did not verify, by the code that Node reports. */
export function verifyFailure(code: string, role: 'client' | 'server', issuer: string): string {
  switch (code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return 'self-signed certificate';
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'CERT_UNTRUSTED':
      return `untrusted issuer ${issuer}`;
    case 'CERT_NOT_YET_VALID':
      return 'certificate not yet valid';
    case 'CERT_HAS_EXPIRED':
      return 'certificate has expired';
    case 'INVALID_PURPOSE':
      return `not designated for use as a ${role} certificate`;
    case 'CERT_CHAIN_TOO_LONG':
      return 'certificate chain longer than limit';
    default:
      return code.toLowerCase().replaceAll('_', ' ');
  }
}
