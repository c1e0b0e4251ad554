/** Where a setting came from, and what is wrong with it. */

export interface Origin {
  readonly file: string;
  /** The first line of the setting; 0 when it is not from a file. */
  readonly line: number;
}

/** One `name = value` as it is written: continuation lines joined, nothing expanded. */
export interface Setting {
  readonly name: string;
  readonly value: string;
  readonly origin: Origin;
}

/** The configuration can't be used. `message` is Postfix's text, and then the place. */
export class ConfigError extends Error {
  readonly file: string;
  readonly line: number;
  /** Postfix's text alone. */
  readonly text: string;

  constructor(text: string, origin?: Origin) {
    super(origin === undefined ? text : `${text} (${formatOrigin(origin)})`);
    this.name = 'ConfigError';
    this.text = text;
    this.file = origin?.file ?? '';
    this.line = origin?.line ?? 0;
  }
}

export function formatOrigin(origin: Origin): string {
  return origin.line === 0 ? origin.file : `${origin.file}, line ${origin.line}`;
}

const OPEN_ERRORS: Readonly<Record<string, string>> = {
  EACCES: 'Permission denied',
  EIO: 'Input/output error',
  ELOOP: 'Too many levels of symbolic links',
  EPERM: 'Operation not permitted',
  EDQUOT: 'Disk quota exceeded',
  EFBIG: 'File too large',
  EISDIR: 'Is a directory',
  ENOENT: 'No such file or directory',
  ENOTDIR: 'Not a directory',
  ENOSPC: 'No space left on device',
  EROFS: 'Read-only file system',
};

/** libc's words for a failed open, as they end Postfix's texts. */
export function openErrorText(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return OPEN_ERRORS[code] ?? (error as Error).message;
}
