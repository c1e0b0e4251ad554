/** What the end of a command means for the mail it was given. Pure. ipc.md 3.3, sysexits.h. */
import type { Status } from '../dsn/status.ts';
import type { Outcome } from './outcome.ts';

/** How a command ended. */
export type CommandEnd =
  | { readonly kind: 'exit'; readonly status: number }
  | { readonly kind: 'signal'; readonly signal: number }
  | { readonly kind: 'timeout' };

const OK = 0;

const SYSEXITS: ReadonlyMap<number, readonly [Status<4> | Status<5>, string]> = new Map([
  [64, ['5.3.0', 'command line usage error']],
  [65, ['5.6.0', 'data format error']],
  [66, ['5.3.0', 'cannot open input']],
  [67, ['5.1.1', 'user unknown']],
  [68, ['5.1.2', 'host name unknown']],
  [69, ['5.3.0', 'service unavailable']],
  [70, ['5.3.0', 'internal software error']],
  [71, ['4.3.0', 'system resource problem']],
  [72, ['5.3.0', 'critical OS file missing']],
  [73, ['5.2.0', "can't create user output file"]],
  [74, ['5.3.0', 'input/output error']],
  [75, ['4.3.0', 'temporary failure']],
  [76, ['5.5.0', 'remote error in protocol']],
  [77, ['5.7.0', 'permission denied']],
  [78, ['5.3.5', 'local configuration error']],
]);

/** A status that output of a failed command may begin with: `5.2.2 over quota`. */
const OUTPUT_STATUS = /^\s*([45]\.\d{1,3}\.\d{1,3})(?:[ \t]+|$)/;

/**
 * Tells what became of the mail.
 *
 * @param output what the command said, newlines as spaces; a status it begins with counts more than
 *   the exit status
 * @returns `undefined` when all went well
 */
export function commandOutcome(
  end: CommandEnd,
  command: string,
  output: string,
): Outcome | undefined {
  const said = output === '' ? '' : `. Command output: ${output}`;
  if (end.kind === 'timeout') {
    return failure('5.3.0', `Command time limit exceeded: "${command}"${said}`);
  }
  if (end.kind === 'signal') {
    return failure('4.3.0', `Command died with signal ${end.signal}: "${command}"${said}`, end);
  }
  if (end.status === OK) return undefined;
  const stated = OUTPUT_STATUS.exec(output);
  if (stated !== null) {
    return failure(stated[1] as Status<4> | Status<5>, output.slice(stated[0].length), end);
  }
  const known = SYSEXITS.get(end.status);
  if (known !== undefined) return failure(known[0], `${known[1]}${said}`, end);
  return failure('5.3.0', `Command died with status ${end.status}: "${command}"${said}`, end);
}

function failure(status: Status<4> | Status<5>, text: string, end?: CommandEnd): Outcome {
  const diagnostic = end === undefined ? {} : { diagnostic: diagnosticOf(end) };
  return isTemporary(status)
    ? { kind: 'deferred', status, text, ...diagnostic }
    : { kind: 'bounced', status, text, ...diagnostic };
}

/** RFC 3464 Diagnostic-Code `x-unix`. */
function diagnosticOf(end: CommandEnd): { type: string; text: string } {
  if (end.kind !== 'exit') return { type: 'x-unix', text: 'internal software error' };
  const text = SYSEXITS.get(end.status)?.[1] ?? `unknown mail system error ${end.status}`;
  return { type: 'x-unix', text };
}

/** Whether a status says that another attempt may help. */
export function isTemporary(status: Status<4> | Status<5>): status is Status<4> {
  return status.startsWith('4');
}
