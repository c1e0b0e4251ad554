/** Who has logged in, and how: a mechanism of AUTH, or `XCLIENT`. */
export interface Login {
  /** As the client wrote it. */
  readonly method: string;
  readonly username: string;
}
