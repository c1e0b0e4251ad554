/** postmap(1): makes, changes and asks lookup tables. */
import { buildTable } from '../lib/table/table-build.ts';
import { runMapCommand } from './map/command.ts';
import { messageKeys } from './map/message-keys.ts';

void runMapCommand(
  {
    program: 'postmap',
    flags: 'FNUbc:d:fhimnopq:rsuvw',
    usage: 'postmap [-bfFhimnNoprsuUvw] [-c config_dir] [-d key] [-q key] [map_type:]file...',
    build: buildTable,
    format: (key, value) => `${key}\t${value}`,
    queryKeys: messageKeys,
  },
  process.argv.slice(2),
);
