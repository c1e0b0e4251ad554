import { runPostfix } from './postfix/command.ts';

runPostfix(process.argv.slice(2));
