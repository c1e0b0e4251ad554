import { runMaster } from '../master/master.ts';

runMaster(process.argv.slice(2));
