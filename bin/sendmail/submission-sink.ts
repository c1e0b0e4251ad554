/** Where sendmail and postdrop put a message: records in, one answer out. */

export interface SubmissionResult {
  /** CLEANUP_STATUS bits; 0 is success. */
  readonly status: number;
  /** '' when the status says it all. */
  readonly reason: string;
}

export interface SubmissionSink {
  readonly queueId: string;
  /** Adds records. @returns false when no more are wanted: `finish` says why */
  write(records: Buffer): Promise<boolean>;
  /** Everything was written. */
  finish(): Promise<SubmissionResult>;
  /** Nothing remains. Harmless after `finish`. */
  abort(): void;
}

/** The mail system is not there to take the message. */
export class MailSystemDownError extends Error {
  override readonly name = 'MailSystemDownError';
}
