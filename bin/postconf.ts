/** postconf(1): shows and edits main.cf and master.cf, and shows templates. Talks to no daemon. */
import { readFileSync } from 'node:fs';
import {
  type Configuration,
  configurationDirectory,
  createConfiguration,
  DEFAULT_DIRECTORY,
  loadConfiguration,
} from '../lib/config/configuration.ts';
import { ExpansionError } from '../lib/config/expand.ts';
import { type MasterEntry, parseMasterCf } from '../lib/config/master-cf.ts';
import type { Setting } from '../lib/config/source.ts';
import { openErrorText } from '../lib/config/source.ts';
import { runCommand, say } from './options/command.ts';
import { parseArguments } from './postconf/arguments.ts';
import { describeTls, listCapability } from './postconf/capabilities.ts';
import { runEdit } from './postconf/edit.ts';
import { findKnownNames, type KnownNames } from './postconf/known-names.ts';
import { lookupIn, namesOfClasses, showMain } from './postconf/main-parameters.ts';
import { parseRequest, type Request } from './postconf/request.ts';
import { showMaster } from './postconf/show-master.ts';
import { clientFileTroubles } from './postconf/table-clients.ts';
import { showTemplates } from './postconf/templates.ts';

const warn = (text: string) => say('postconf', `warning: ${text}`);

async function run(argv: readonly string[]): Promise<number> {
  const request = parseRequest(argv);
  const { mode, action, options } = request;
  const directory = configurationDirectory(options.value('c'));
  if (mode === 'b' || mode === 't') return showTemplates(mode, request.operands, directory);
  if (mode === 'T') return showTls(options.value('T') ?? '');
  if (action !== 'show') {
    runEdit(request, directory, warn);
    return 0;
  }
  if ('aAlm'.includes(mode)) {
    if (mode === 'm') loadConfiguration({ directory });
    const lines = await listCapability(mode);
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
    return 0;
  }
  try {
    show(request, directory);
  } catch (error) {
    if (!(error instanceof ExpansionError)) throw error;
    warn(error.message);
    throw new Error('macro processing error');
  }
  return 0;
}

function showTls(mode: string): number {
  const lines = describeTls(mode);
  if (lines === undefined) warn(`unknown 'postconf -T' mode: ${mode}`);
  process.stdout.write((lines ?? []).map((line) => `${line}\n`).join(''));
  return lines === undefined ? 1 : 0;
}

function show(request: Request, directory: string): void {
  const { mode, options } = request;
  const onlyDefaults = options.has('d');
  const read = () => readEntries(`${directory}/master.cf`, mode !== 'p');
  // What is asked for comes first, and says so first when it is missing.
  const first = mode === 'p' ? undefined : read();
  const configuration = onlyDefaults
    ? createConfiguration({
        directory: DEFAULT_DIRECTORY,
        settings: new Map(),
        processName: 'postconf',
      })
    : withoutReadOnly(directory, options.values('o'));
  configuration.warnings.forEach(warn);
  const entries = first ?? read();
  const settings = settingsOf(configuration);
  const known = findKnownNames(settings, entries, (name) => configuration.unexpanded(name));
  // Before the warnings: an unknown class is an error.
  namesOfClasses(options.value('C') ?? 'all', known);
  for (const entry of entries) {
    parseArguments(entry.rawArgs, (why) => {
      warn(`master.cf: ${why}`);
    });
  }
  known.braceTroubles.forEach(warn);
  if (!onlyDefaults) {
    known.clients.flatMap(clientFileTroubles).forEach(warn);
    warnOfUndefined(known, directory);
  }
  if (known.expansionError !== undefined) throw known.expansionError;
  process.stdout.write(
    mode === 'p'
      ? showMain(request, configuration, known, warn)
      : showMaster(request, entries, lookupIn(configuration, known), warn),
  );
  if (!onlyDefaults) warnOfUnused(known, directory, mode === 'p');
}

/** What a program knows of itself can't be set. */
const READ_ONLY = ['process_id', 'process_name', 'service_name'];

function withoutReadOnly(directory: string, overrides: readonly string[]): Configuration {
  const configuration = loadConfiguration({ directory, overrides });
  const settings = new Map(settingsOf(configuration));
  for (const name of READ_ONLY) {
    const value = settings.get(name)?.value;
    if (!settings.delete(name)) continue;
    warn(`${directory}/main.cf: read-only parameter assignment: ${name}=${value}`);
  }
  const { warnings } = configuration;
  return createConfiguration({ directory, settings, warnings, processName: 'postconf' });
}

/** A missing master.cf is only worth a warning to somebody who looks at main.cf. */
function readEntries(file: string, needed: boolean): readonly MasterEntry[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    const why = `open ${file}: ${openErrorText(cause)}`;
    if (needed) throw new Error(why, { cause });
    warn(why);
    return [];
  }
  return parseMasterCf(text, file, warn, 'accept');
}

function settingsOf(configuration: Configuration): ReadonlyMap<string, Setting> {
  return new Map(
    configuration.names().map((name) => {
      const origin = configuration.origin(name) ?? { file: '', line: 0 };
      return [name, { name, value: configuration.unexpanded(name) ?? '', origin }];
    }),
  );
}

function warnOfUndefined(known: KnownNames, directory: string): void {
  const names = (file: string, list: readonly string[]) =>
    list.forEach((name) => {
      warn(`${directory}/${file}: undefined parameter: ${name}`);
    });
  names('main.cf', known.undefinedInMain);
  names('master.cf', known.undefinedInMaster);
}

function warnOfUnused(known: KnownNames, directory: string, main: boolean): void {
  const file = `${directory}/main.cf`;
  for (const { name, value } of main ? known.unusedInMain : []) {
    warn(`${file}: unused parameter: ${name}=${value}`);
  }
  for (const assignment of known.unusedInMaster) {
    warn(`${directory}/master.cf: unused parameter: ${assignment}`);
  }
}

void runCommand({ name: 'postconf', run });
