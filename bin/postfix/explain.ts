/**
 * `postfix explain`: what smtpd would answer a client, and where its mail would go; nothing is sent,
 * and no daemon is asked. It needs no running mail system, and no rights but to read the tables.
 */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import {
  type Configuration,
  configurationDirectory,
  loadConfiguration,
} from '../../lib/config/configuration.ts';
import { type MasterEntry, parseMasterCf } from '../../lib/config/master-cf.ts';
import { formatOrigin } from '../../lib/config/source.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import { type Log, openLog } from '../../lib/log/log.ts';
import { noFlowControl } from '../../lib/server/flow-control.ts';
import { parseDaemonOptions } from '../../lib/server/options.ts';
import { TableWatch } from '../../lib/server/table-watch.ts';
import { ask, SUPPRESSED, WHAT_IF_PARAMETERS } from '../../services/smtpd/what-if.ts';
import { resolveAddress } from '../../services/trivial-rewrite/resolve.ts';
import { rewriteAddress } from '../../services/trivial-rewrite/rewrite.ts';
import { openSettings } from '../../services/trivial-rewrite/settings.ts';
import { type ExplainRequest, parseExplainRequest } from './explain-request.ts';
import { type Route, Router } from './explain-route.ts';
import { type Explained, exitStatus, formatExplained } from './explain-text.ts';

/** What another service would have a say in, and is not asked; as it is set in main.cf. */
const OTHERS = [
  'smtpd_milter_maps',
  'smtpd_milters',
  'smtpd_proxy_filter',
  'smtpd_upstream_proxy_protocol',
] as const;

/** Runs the command. @returns its exit status: the verdict */
export async function explain(argv: readonly string[], directory?: string): Promise<number> {
  const request = parseExplainRequest(argv);
  const config = resolve(configurationDirectory(directory));
  const configuration = loadConfiguration({ directory: config });
  enterQueue(configuration);
  const log = openLog({ program: 'postfix', configuration, to: 'terminal', label: 'postfix' });
  const explained = await findOut(request, config, log);
  process.stdout.write(formatExplained(explained));
  return exitStatus(explained);
}

/** Finds out what smtpd would answer, and where the mail would go. */
export async function findOut(
  { question, service, isHeloAssumed }: ExplainRequest,
  directory: string,
  log: Log,
): Promise<Explained> {
  const entry = findService(directory, service);
  const given = entry === undefined ? [] : parseDaemonOptions(entry.args).overrides;
  const serviceName = entry?.name ?? 'smtp';
  const load = (overrides: readonly string[]) =>
    loadConfiguration({
      directory,
      overrides: [...given, ...overrides],
      serviceName,
      processName: 'smtpd',
    });
  const configured = load([]);
  const others = OTHERS.filter((name) => configured.text(name) !== '');
  const configuration = load([
    ...Object.entries(SUPPRESSED).map(([name, value]) => `${name}=${value}`),
    ...others.map((name) => `${name}=`),
  ]);
  const tables = openWatch(configuration, log);
  const settings = openSettings(tables);
  const surroundings = {
    ...{ configuration, log, tables, serviceName },
    parameters: configuration.select(WHAT_IF_PARAMETERS),
    transportType: 'inet',
    args: [],
    stopping: new AbortController().signal,
    standalone: false,
    slots: 1,
    flow: noFlowControl,
    retire() {},
  };
  // smtps: there is TLS from the first byte.
  const hasTls = question.hasTls || configured.get('smtpd_tls_wrappermode');
  const answered = await ask({ ...question, hasTls }, surroundings, {
    rewrite: {
      rewrite: async (rule, address) => rewriteAddress(address, settings[rule]).address,
      resolve: (sender, address) =>
        resolveAddress(sender, address, settings.resolve, settings.mail),
      close() {},
    },
  });
  const router = new Router(configured, settings, tables);
  const sender = await router.sender(question.sender);
  const routes: { recipient: string; route: Route }[] = [];
  for (const recipient of question.recipients) {
    routes.push({ recipient, route: await router.recipient(sender.address, recipient) });
  }
  return {
    question,
    ...answered,
    isHeloAssumed,
    service:
      entry === undefined
        ? 'master.cf has no smtpd; main.cf alone counts'
        : `${formatOrigin(entry.origin)}: ${entry.name} ${entry.type}`,
    others: others.map((name) => ({ name, value: configured.text(name) })),
    contentFilter: configured.text('content_filter'),
    sender,
    routes,
    copies: await router.copies(sender.address, question.recipients),
    transports: transportPlaces(directory),
  };
}

/** The smtpd that is asked: the one of that name, else the first. */
function findService(directory: string, name: string | undefined): MasterEntry | undefined {
  const file = join(directory, 'master.cf');
  const entries = parseMasterCf(readText(file), file);
  const servers = entries.filter(({ command }) => /(?:^|\/)smtpd$/.test(command));
  if (name === undefined) return servers[0];
  const found = servers.find((entry) => entry.name === name);
  if (found !== undefined) return found;
  const names = servers.map((entry) => entry.name).join(', ') || 'none';
  throw new FatalError(`--service ${name}: ${file} has no smtpd of that name; it has: ${names}`);
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new FatalError(`open ${file}: ${(error as Error).message}`);
  }
}

/** Transports of master.cf, and where they stand. */
function transportPlaces(directory: string): ReadonlyMap<string, string> {
  const file = join(directory, 'master.cf');
  return new Map(
    parseMasterCf(readText(file), file)
      .filter(({ type }) => type === 'unix')
      .map(({ name, origin }) => [name, formatOrigin(origin)]),
  );
}

/** Daemons are in the queue directory: a table without a full path lies there. */
function enterQueue(configuration: Configuration): void {
  try {
    process.chdir(configuration.get('queue_directory'));
  } catch {
    // It is for tables of odd names only.
  }
}

/** Tables are opened here, also those that proxymap(8) would open. */
function openWatch(configuration: Configuration, log: Log): TableWatch {
  return Object.assign(new TableWatch(configuration, log, () => {}), { proxied: true });
}
