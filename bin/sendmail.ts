/** sendmail(1); as `mailq` and `newaliases`, those. */
import { basename } from 'node:path';
import { runCommand } from './options/command.ts';
import { logTrouble, runSendmail } from './sendmail/command.ts';

/** EX_TEMPFAIL: whoever called us may try again. Postfix ends so on every error. */
const TEMPORARY_FAILURE = 75;

const name = basename(process.argv[1] ?? 'sendmail').replace(/\.cjs$/, '');

void runCommand({
  name,
  failure: TEMPORARY_FAILURE,
  run: (argv) => runSendmail(name, argv),
  log: async (text) => logTrouble(name, text),
});
