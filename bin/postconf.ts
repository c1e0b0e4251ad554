/**
 * postconf(1): shows and edits main.cf and master.cf. Talks to no daemon.
 *
 * Not here: `-b` and `-t`, bounce templates.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type Configuration,
  createConfiguration,
  DEFAULT_DIRECTORY,
  loadConfiguration,
} from '../lib/config/configuration.ts';
import { ExpansionError } from '../lib/config/expand.ts';
import { MASTER_FIELDS, type MasterEntry, parseMasterCf } from '../lib/config/master-cf.ts';
import type { Setting } from '../lib/config/source.ts';
import { openErrorText } from '../lib/config/source.ts';
import { runCommand, say } from './options/command.ts';
import { describeTls, listCapability } from './postconf/capabilities.ts';
import { runEdit } from './postconf/edit.ts';
import { findKnownNames, type KnownNames } from './postconf/known-names.ts';
import { type Form, formatSetting } from './postconf/lines.ts';
import { lookupIn, namesOfClasses, shownValue } from './postconf/main-parameters.ts';
import {
  formatEntry,
  formatFields,
  formatParameters,
  parseSelector,
  type Resolve,
  resolverFor,
  type Selector,
  selects,
} from './postconf/master-entries.ts';
import { type Mode, parseRequest, type Request } from './postconf/request.ts';

const warn = (text: string) => say('postconf', `warning: ${text}`);

function run(argv: readonly string[]): number {
  const request = parseRequest(argv);
  const { mode, action, options } = request;
  const directory = options.value('c') ?? (process.env['MAIL_CONFIG'] || DEFAULT_DIRECTORY);
  if (mode === 'b' || mode === 't') throw new Error(`-${mode} (bounce templates) is not built`);
  if (mode === 'T') return showTls(options.value('T') ?? '');
  if (action !== 'show') {
    runEdit(request, directory, warn);
    return 0;
  }
  if ('aAlm'.includes(mode)) {
    process.stdout.write(
      listCapability(mode)
        .map((line) => `${line}\n`)
        .join(''),
    );
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
  const configuration = onlyDefaults
    ? createConfiguration({
        directory: DEFAULT_DIRECTORY,
        settings: new Map(),
        processName: 'postconf',
      })
    : loadConfiguration({ directory, overrides: options.values('o'), processName: 'postconf' });
  configuration.warnings.forEach(warn);
  const entries = readEntries(join(directory, 'master.cf'), mode !== 'p');
  const settings = settingsOf(configuration);
  const known = findKnownNames(settings, entries);
  const classes = namesOfClasses(options.value('C') ?? 'all', known);
  if (!onlyDefaults) warnOfUndefined(known, directory);
  if (mode === 'p') showMain(request, configuration, known, classes);
  else showMaster(request, configuration, known, entries);
  if (!onlyDefaults) warnOfUnused(known, directory, mode === 'p');
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
  return parseMasterCf(text, file, warn);
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
      warn(`${join(directory, file)}: undefined parameter: ${name}`);
    });
  names('main.cf', known.undefinedInMain);
  names('master.cf', known.undefinedInMaster);
}

function warnOfUnused(known: KnownNames, directory: string, main: boolean): void {
  const file = join(directory, 'main.cf');
  for (const { name, value } of main ? known.unusedInMain : []) {
    warn(`${file}: unused parameter: ${name}=${value}`);
  }
  for (const assignment of known.unusedInMaster) {
    warn(`${join(directory, 'master.cf')}: unused parameter: ${assignment}`);
  }
}

function formOf(request: Request): Form {
  const { options } = request;
  return { fold: options.has('f'), hideName: options.has('h'), hideValue: options.has('H') };
}

function showMain(
  request: Request,
  configuration: Configuration,
  known: KnownNames,
  listed: readonly string[],
): void {
  const { options, operands } = request;
  const lookup = lookupIn(configuration, known);
  const legal = new Set(listed);
  let text = '';
  for (const name of operands.length > 0 ? operands : listed) {
    if (!legal.has(name)) {
      warn(`${name}: unknown parameter`);
    } else if (!options.has('n') || isSet(configuration, name)) {
      text += formatSetting(name, shownValue(name, lookup, options.has('x')), formOf(request));
    }
  }
  process.stdout.write(text);
}

/** A configuration directory of one's own is worth showing, though no main.cf says so. */
function isSet(configuration: Configuration, name: string): boolean {
  if (name === 'config_directory' && configuration.directory !== DEFAULT_DIRECTORY) return true;
  return configuration.isSet(name);
}

const WANTED: Readonly<Record<string, string>> = {
  M: '-M option requires service_name[/type]',
  F: '-F option requires service_name[/type[/field]]',
  P: '-P option requires service_name[/type[/parameter]]',
};

function showMaster(
  request: Request,
  configuration: Configuration,
  known: KnownNames,
  entries: readonly MasterEntry[],
): void {
  const { mode, options, operands } = request;
  const form = formOf(request);
  const resolve = options.has('x') ? resolverFor(lookupIn(configuration, known)) : undefined;
  const requests = (operands.length > 0 ? operands : ['*']).map((operand) => ({
    operand,
    selector: parseMasterRequest(mode, operand),
    matched: false,
  }));
  let text = '';
  for (const entry of entries) {
    for (const asked of requests) {
      if (!selects(asked.selector, entry)) continue;
      const shown = formatRequested(mode, entry, asked.selector.rest, form, resolve);
      text += shown;
      asked.matched ||= shown !== '';
      if (mode === 'M') break;
    }
  }
  for (const { operand, matched } of operands.length > 0 ? requests : []) {
    if (!matched) warn(`unmatched request: "${operand}"`);
  }
  process.stdout.write(text);
}

function parseMasterRequest(mode: Mode, operand: string): Selector {
  const selector = parseSelector(operand, mode === 'M' ? 2 : 3);
  if (selector === undefined) throw new Error(WANTED[mode]);
  const { rest } = selector;
  if (mode === 'F' && rest !== undefined && ![...MASTER_FIELDS, '*'].some((f) => f === rest)) {
    throw new Error(`invalid service attribute name: "${rest}"`);
  }
  return selector;
}

function formatRequested(
  mode: Mode,
  entry: MasterEntry,
  rest: string | undefined,
  form: Form,
  resolve: Resolve | undefined,
): string {
  if (mode === 'M') return `${formatEntry(entry, form.fold, resolve)}\n`;
  if (mode === 'F') return formatFields(entry, rest, form, resolve);
  return formatParameters(entry, rest, form, resolve);
}

void runCommand({ name: 'postconf', run });
