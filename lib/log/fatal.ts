/**
 * Our surroundings are wrong (main.cf, a missing table, a directory we may not write): the program
 * logs the message as `fatal: `, ends with status 1, and master starts it again later.
 */
export class FatalError extends Error {
  override readonly name = 'FatalError';
}
