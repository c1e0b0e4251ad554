/**
 * How smtpd hands its milters to cleanup, and how cleanup takes them: a record with their number, one
 * attribute list, and each connection as a descriptor behind its part of the list. ipc.md 3.1.
 */
import { closeSync } from 'node:fs';
import { type Attribute, attributesText } from '../ipc/attributes.ts';
import type { IpcConnection } from '../ipc/connection.ts';
import { receiveDescriptorAfter, sendDescriptorBehind } from '../ipc/descriptors.ts';
import { IpcError } from '../ipc/error.ts';
import { hash, int, str } from '../ipc/fields.ts';
import { formatRecord, RECORD } from '../queue/record.ts';
import type { MacroLists, MacroSource } from './macros.ts';
import { Milter, type MilterSurroundings } from './milter.ts';
import { Milters } from './milters.ts';

/** More than anybody has, and fewer than would make us run out of descriptors. */
const MILTERS_MAX = 100;

const DUMMY = { dummy: str };
const STATUS = { status: int };

/** Tells cleanup that there are milters, before it is known what they say: ours shall not apply. */
export function formatPlaceholder(): Buffer {
  return formatRecord(RECORD.milterCount, '0');
}

/**
 * Hands over the milters that want to see the content.
 *
 * @throws {IpcError} when cleanup does not take them
 */
export async function sendMilters(
  connection: IpcConnection,
  milters: Milters,
  around: MilterSurroundings,
): Promise<void> {
  const active = milters.list.flatMap((milter) => {
    const fd = milter.descriptor;
    return fd === undefined ? [] : [{ milter, fd }];
  });
  const count = formatRecord(RECORD.milterCount, String(active.length));
  if (active.length === 0) return connection.send(count);
  const defaults: Attribute[] = [['size', around.macroDefaults.size]];
  // A hash has no name.
  if (around.macroDefaults.size > 0) defaults.push(['', new Map(canonical(around.macroDefaults))]);
  let text = attributesText([...listsOf(around.lists), ...defaults], { more: true });
  let start = count;
  for (const { milter, fd } of active) {
    text += formatMilter(milter);
    await connection.send(Buffer.concat([start, Buffer.from(text)]));
    await expect(connection, DUMMY);
    await sendDescriptorBehind(connection, fd);
    await expect(connection, DUMMY);
    start = NOTHING;
    text = '';
  }
  const { status } = await expect(connection, STATUS);
  if (status !== 0) throw new IpcError(`cannot send milters to service ${connection.peer}`);
}

const NOTHING = Buffer.alloc(0);

async function expect<S extends Parameters<IpcConnection['receive']>[0]>(
  connection: IpcConnection,
  shape: S,
) {
  const list = await connection.receive(shape);
  if (list !== undefined) return list;
  throw new IpcError(`unexpected end-of-input from ${connection.peer}`);
}

/** As Postfix has names: in braces. */
function* canonical(defaults: ReadonlyMap<string, string>): Iterable<[string, string]> {
  for (const [name, value] of defaults) yield [`{${name}}`, value];
}

function formatMilter({ settings, position }: Milter): string {
  const { lists } = position;
  return attributesText([
    ['milter_name', settings.name],
    ['milter_version', position.version],
    ['milter_actions', position.actions],
    ['milter_events', position.steps],
    ['milter_non_events', position.missing],
    ['milter_state', position.state],
    ['milter_conn_timeout', settings.connectSeconds],
    ['milter_cmd_timeout', settings.commandSeconds],
    ['milter_msg_timeout', settings.contentSeconds],
    ['milter_action', settings.defaultAction],
    ['milter_macro_list', lists === undefined ? 0 : 1],
    ...(lists === undefined ? [] : listsOf(lists)),
  ]);
}

function listsOf(lists: MacroLists): Attribute[] {
  return [
    ['conn_macros', lists.connect],
    ['helo_macros', lists.helo],
    ['mail_macros', lists.mail],
    ['rcpt_macros', lists.rcpt],
    ['data_macros', lists.data],
    ['eoh_macros', lists.endOfHeaders],
    ['eod_macros', lists.endOfMessage],
    ['unk_macros', lists.unknown],
  ];
}

const LISTS = {
  connect: str.named('conn_macros'),
  helo: str.named('helo_macros'),
  mail: str.named('mail_macros'),
  rcpt: str.named('rcpt_macros'),
  data: str.named('data_macros'),
  endOfHeaders: str.named('eoh_macros'),
  endOfMessage: str.named('eod_macros'),
  unknown: str.named('unk_macros'),
};
const ALL_LISTS = { ...LISTS, size: int };
const DEFAULTS = { defaults: hash };
const MILTER = {
  name: str.named('milter_name'),
  version: int.named('milter_version'),
  actions: int.named('milter_actions'),
  steps: int.named('milter_events'),
  missing: int.named('milter_non_events'),
  state: int.named('milter_state'),
  connectSeconds: int.named('milter_conn_timeout'),
  commandSeconds: int.named('milter_cmd_timeout'),
  contentSeconds: int.named('milter_msg_timeout'),
  defaultAction: str.named('milter_action'),
  hasLists: int.named('milter_macro_list'),
};

/**
 * Takes so many milters over, after the record that tells their number.
 *
 * @throws {IpcError} when they do not come as they should
 */
export async function receiveMilters(
  connection: IpcConnection,
  count: number,
  around: Pick<MilterSurroundings, 'log' | 'resolver' | 'softBounce'>,
  macros: MacroSource,
): Promise<Milters> {
  if (count > MILTERS_MAX) throw new IpcError(`${count} milters from ${connection.peer}`);
  const { size, ...lists } = await receiveMore(connection, ALL_LISTS);
  const { defaults } =
    size > 0 ? await receiveMore(connection, DEFAULTS) : { defaults: new Map<string, string>() };
  const macroDefaults = new Map(
    [...defaults].map(([name, value]) => [name.replace(/[{}]/g, ''), value]),
  );
  const list: Milter[] = [];
  try {
    for (let number = 0; number < count; number += 1) {
      list.push(await receiveMilter(connection, { ...around, lists, macroDefaults }));
    }
    await connection.send([['status', 0]]);
  } catch (error) {
    for (const milter of list) milter.release();
    throw error;
  }
  return new Milters(list, macros);
}

async function receiveMilter(
  connection: IpcConnection,
  around: MilterSurroundings,
): Promise<Milter> {
  const { hasLists, ...told } = await receiveMore(connection, MILTER);
  let lists: MacroLists | undefined;
  if (hasLists !== 0) lists = await expect(connection, LISTS);
  else if (!(await connection.atTerminator())) {
    throw new IpcError(`unexpected attribute of a milter from ${connection.peer}`);
  }
  const fd = await receiveDescriptorAfter(connection, [['dummy', '']]);
  try {
    const settings = { ...told, protocol: String(told.version) };
    const milter = Milter.resume(settings, around, { ...told, lists }, fd);
    await connection.send([['dummy', '']]);
    return milter;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function receiveMore<S extends Parameters<IpcConnection['receive']>[0]>(
  connection: IpcConnection,
  shape: S,
) {
  const list = await connection.receive(shape, { more: true, missing: false });
  if (list !== undefined) return list;
  throw new IpcError(`unexpected end-of-input from ${connection.peer}`);
}
