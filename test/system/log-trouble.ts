/** Lines of a log that ask for a human, but those that a test expects. */
export function troubleIn(log: string, ...expected: readonly RegExp[]): string[] {
  return log
    .split('\n')
    .filter((line) => / (?:panic|fatal|error|warning): /.test(line))
    .filter((line) => !expected.some((pattern) => pattern.test(line)));
}
