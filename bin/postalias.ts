/** postalias(1): makes, changes and asks alias databases. */
import { buildAliases } from '../lib/table/aliases-file.ts';
import { runMapCommand } from './map/command.ts';

void runMapCommand(
  {
    program: 'postalias',
    flags: 'Nc:d:finopq:rsuvw',
    usage: 'postalias [-Nfinoprsuvw] [-c config_dir] [-d key] [-q key] [map_type:]file...',
    build: buildAliases,
    format: (key, value) => `${key}:\t${value}`,
  },
  process.argv.slice(2),
);
