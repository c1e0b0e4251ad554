import { FatalError } from '../lib/log/fatal.ts';

/** How master was asked to run. Postfix: master(8). */
export interface MasterOptions {
  /** `-c`: the configuration directory. */
  readonly configDirectory: string | undefined;
  /** `-d`: keep descriptors 0-2, do not detach; every daemon gets `-d` too. */
  readonly debug: boolean;
  /** `-e`: leave after so many seconds. */
  readonly exitAfterSeconds: number | undefined;
  /** `-i`: we are process 1 of a container. */
  readonly init: boolean;
  /** `-s`: stay in the foreground and keep stdout. */
  readonly foreground: boolean;
  /** `-t`: only tell by the exit status whether a master runs. */
  readonly testLock: boolean;
  /** `-v`, as often as it was given; passed on to the daemons. */
  readonly verbose: number;
  /** `-w`: return once the mail system is up, or failed to come up. */
  readonly wait: boolean;
}

const USAGE =
  "usage: master [-c config_dir] [-D (debug)] [-d (don't detach from terminal)] [-e exit_time] [-i] [-s] [-t (test)] [-v] [-w (wait for initialization)]";

/**
 * Reads master's command line.
 *
 * @throws {FatalError} for an unknown option, or options that contradict each other
 */
export function parseMasterOptions(argv: readonly string[]): MasterOptions {
  const flags = new Map<string, number>();
  let configDirectory: string | undefined;
  let exitAfterSeconds: number | undefined;
  for (let at = 0; at < argv.length; at += 1) {
    const word = argv[at] ?? '';
    if (!word.startsWith('-') || word.length < 2) throw new FatalError(USAGE);
    for (let letter = 1; letter < word.length; letter += 1) {
      const option = word[letter] ?? '';
      if (option === 'c' || option === 'e') {
        const value = word.slice(letter + 1) || argv[at + 1];
        if (value === undefined) throw new FatalError(USAGE);
        if (letter + 1 === word.length) at += 1;
        if (option === 'c') configDirectory = value;
        else exitAfterSeconds = Number(value);
        break;
      }
      if (!'Ddistvw'.includes(option)) throw new FatalError(USAGE);
      flags.set(option, (flags.get(option) ?? 0) + 1);
    }
  }
  if (exitAfterSeconds !== undefined && !(exitAfterSeconds > 0)) throw new FatalError(USAGE);
  if (flags.has('D')) {
    throw new FatalError('master: option -D (debugger_command) is not built in Posthaste');
  }
  if (flags.has('t') && flags.has('w')) {
    throw new FatalError('master: options -t and -w cannot be used together');
  }
  if (flags.has('i') && (flags.has('d') || flags.has('w'))) {
    throw new FatalError('master: option -i cannot be used with -d or -w');
  }
  return {
    configDirectory,
    debug: flags.has('d'),
    exitAfterSeconds,
    init: flags.has('i'),
    foreground: flags.has('s') || flags.has('i'),
    testLock: flags.has('t'),
    verbose: flags.get('v') ?? 0,
    wait: flags.has('w'),
  };
}
