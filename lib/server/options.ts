import { FatalError } from '../log/fatal.ts';

/** How master asked a daemon to run. ipc.md 1.4 and 1.11. */
export interface DaemonOptions {
  /** `-n`: the first field in master.cf, where it differs from the program's name. */
  readonly serviceName: string | undefined;
  /** `-t`; '' when stand-alone. */
  readonly transportType: string;
  /** `-s`: how many sockets were handed down. */
  readonly sockets: number;
  /** `-o name=value`, in their order. */
  readonly overrides: readonly string[];
  /** `-l`: maxproc is 1. `-z`: it is unlimited. */
  readonly solitary: boolean;
  readonly unlimited: boolean;
  /** `-u`: run as mail_owner. `-c`: inside the queue directory. */
  readonly unprivileged: boolean;
  readonly chroot: boolean;
  /** `-S`: stdin and stdout are the client. */
  readonly standalone: boolean;
  readonly verbose: boolean;
  /** `-i` and `-m` instead of max_idle and max_use. */
  readonly maxIdleSeconds: number | undefined;
  readonly maxUse: number | undefined;
  readonly args: readonly string[];
}

const WITH_VALUE = 'imnorst';
const WITHOUT_VALUE = 'cdDlSuvVz';

/**
 * Reads a daemon's command line.
 *
 * @throws {FatalError} for an unknown option or a bad number
 */
export function parseDaemonOptions(argv: readonly string[]): DaemonOptions {
  const flags = new Set<string>();
  const values = new Map<string, string>();
  const overrides: string[] = [];
  let at = 0;
  for (; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (word === '--') {
      at += 1;
      break;
    }
    if (!word.startsWith('-') || word === '-') break;
    for (let letter = 1; letter < word.length; letter += 1) {
      const option = word.charAt(letter);
      if (WITHOUT_VALUE.includes(option)) {
        flags.add(option);
        continue;
      }
      if (!WITH_VALUE.includes(option)) throw new FatalError(`invalid option: ${option}`);
      let value = word.slice(letter + 1);
      if (value === '') {
        at += 1;
        value = argv[at] ?? '';
      }
      if (option === 'o') overrides.push(value);
      else values.set(option, value);
      break;
    }
  }
  return {
    serviceName: values.get('n'),
    transportType: values.get('t') ?? '',
    sockets: numberOf(values.get('s'), 's') ?? 1,
    overrides,
    solitary: flags.has('l'),
    unlimited: flags.has('z'),
    unprivileged: flags.has('u'),
    chroot: flags.has('c'),
    standalone: flags.has('S'),
    verbose: flags.has('v'),
    maxIdleSeconds: numberOf(values.get('i'), 'i'),
    maxUse: numberOf(values.get('m'), 'm'),
    args: argv.slice(at),
  };
}

function numberOf(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) {
    throw new FatalError(`option -${option}: bad number: ${text.slice(0, 100)}`);
  }
  return Number(text);
}
