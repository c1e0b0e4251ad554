/** The mailbox of a user: what is to be done, and doing it. */
import { statSync } from 'node:fs';
import { now } from '../../lib/clock/clock.ts';
import type { WorkStep } from '../../lib/delivery/file-work.ts';
import type { MailboxDelivery } from '../../lib/delivery/mailbox.ts';
import type { Occasion } from '../../lib/delivery/maildir.ts';
import { type PassTarget, parsePassTarget } from '../../lib/delivery/pass.ts';
import { formatPrependedHeaders } from '../../lib/delivery/prepended-headers.ts';
import type { Status } from '../../lib/dsn/status.ts';
import type { User } from '../../lib/os/identity.ts';
import { QUEUE_FILE_MODE } from '../../lib/queue/queue-file.ts';
import { TableError, type TableList } from '../../lib/table/table.ts';
import { deliveredBy } from './alias.ts';
import type { Branch } from './branch.ts';
import { deliverToCommand } from './command.ts';
import {
  chooseMailbox,
  type MailboxChoice,
  type SpoolRights,
  spoolRights,
} from './mailbox-choice.ts';
import { actingTrouble, identityOf, type Progress, type Run } from './run.ts';
import type { Step, StepResult } from './steps.ts';

/** What there is to do for a mailbox. */
export type MailboxPlan =
  | { readonly kind: 'nobody' }
  | { readonly kind: 'failed'; readonly status: Status<4>; readonly text: string }
  | { readonly kind: 'transport'; readonly target: PassTarget; readonly because: string }
  | { readonly kind: 'command'; readonly command: string; readonly user: User }
  | FilePlan;

/** A file or a Maildir, and the step that delivers to it. */
export interface FilePlan {
  readonly kind: 'file';
  readonly format: 'mailbox' | 'maildir';
  readonly step: WorkStep<Step>;
  /** What a failure is told with: `cannot update mailbox ...`. */
  readonly trouble: string;
  readonly success: string;
  /** Whose mailbox it is: they want to hear of it (biff). */
  readonly biff?: string;
}

/** Decides; nothing is delivered yet. */
export async function planMailbox(
  run: Run,
  branch: Branch,
  user: User | undefined,
): Promise<MailboxPlan> {
  const { settings } = run.local;
  const { mailboxTransports, mailboxCommands } = run.tables;
  const transport = await transportFor(
    mailboxTransports,
    branch.user,
    'mailbox_transport',
    settings.parameters.mailbox_transport,
  );
  if (transport !== undefined) return transport;
  if (user === undefined) return { kind: 'nobody' };
  const trouble = actingTrouble(user);
  if (trouble !== undefined) return { kind: 'failed', status: '4.3.0', text: trouble };
  const command = await lookup(mailboxCommands, branch.user);
  if (command === TROUBLE) return LOOKUP_FAILURE;
  const choice = chooseMailbox(settings.parameters, user, command);
  if (choice.kind === 'command') return { kind: 'command', command: choice.command, user };
  return planFile(run, branch, user, choice);
}

/** What a table in trouble answers. */
const TROUBLE: unique symbol = Symbol('table trouble');
const LOOKUP_FAILURE = { kind: 'failed', status: '4.3.0', text: 'table lookup failure' } as const;

/** The transport that a table or a parameter names for a user. */
export async function transportFor(
  tables: TableList,
  user: string,
  parameter: string,
  fallback: string,
): Promise<Extract<MailboxPlan, { kind: 'transport' | 'failed' }> | undefined> {
  const found = await lookup(tables, user);
  if (found === TROUBLE) return LOOKUP_FAILURE;
  const name = found ?? fallback;
  if (name === '') return undefined;
  const because = found === undefined ? parameter : `${parameter}_maps`;
  return { kind: 'transport', target: parsePassTarget(name), because };
}

async function lookup(
  tables: TableList,
  key: string,
): Promise<string | undefined | typeof TROUBLE> {
  try {
    return (await tables.lookup(key))?.value;
  } catch (error) {
    if (error instanceof TableError) return TROUBLE;
    throw error;
  }
}

function planFile(
  run: Run,
  branch: Branch,
  user: User,
  choice: Exclude<MailboxChoice, { kind: 'command' }>,
): MailboxPlan {
  const { path, because } = choice;
  run.trail.push(`${because}: ${path}`);
  if (choice.kind === 'maildir') return maildirPlan(run, branch, identityOf(user), path);
  const rights: SpoolRights = choice.spool === undefined ? user : rightsIn(choice.spool, user);
  const strict = run.settings.parameters.strict_mailbox_ownership;
  const work = {
    ...mailboxDelivery(run, branch, path),
    mailboxOf: { uid: user.uid, strict },
    ...(rights.owner === undefined ? {} : { owner: rights.owner }),
  };
  return {
    kind: 'file',
    format: 'mailbox',
    step: { identity: identityOf(rights), work: { kind: 'mailbox', ...work } },
    trouble: `cannot update mailbox ${path} for user ${branch.user}. `,
    success: 'delivered to mailbox',
    ...(run.settings.parameters.biff ? { biff: user.name } : {}),
  };
}

function rightsIn(spool: string, user: User): SpoolRights {
  if (process.geteuid?.() !== 0) return user;
  try {
    return spoolRights(statSync(spool), user);
  } catch {
    // The delivery will tell what is wrong with it.
    return user;
  }
}

/** Delivers to a Maildir with somebody's rights. */
export function maildirPlan(
  run: Run,
  branch: Branch,
  identity: WorkStep<Step>['identity'],
  path: string,
): FilePlan {
  const limitBytes = run.settings.parameters.mailbox_size_limit;
  const message = messageSource(run);
  const prepended = prependedTo(run, branch);
  return {
    kind: 'file',
    format: 'maildir',
    step: {
      identity,
      work: { kind: 'maildir', path, message, prepended, limitBytes, ...occasionOf(run, branch) },
    },
    trouble: 'maildir delivery failed: ',
    success: 'delivered to maildir',
  };
}

/** A recipient that another agent handed over is marked by that agent, under an offset of its own. */
function occasionOf(run: Run, { recipient }: Branch): { readonly occasion?: Occasion } {
  if (recipient.offset <= 0) return {};
  const count = run.maildirs;
  run.maildirs += 1;
  return { occasion: { arrival: run.request.times.arrival, recipient: recipient.offset, count } };
}

/** What all deliveries to files in mailbox format have in common. */
export function mailboxDelivery(run: Run, branch: Branch, path: string): MailboxDelivery {
  const { parameters, locks } = run.settings;
  return {
    path,
    locks,
    message: messageSource(run),
    prepended: prependedTo(run, branch, now()),
    staleLockSeconds: parameters.stale_lock_time,
    limitBytes: parameters.mailbox_size_limit,
  };
}

function messageSource(run: Run): MailboxDelivery['message'] {
  const { fd, path, sizeBytes } = run.delivery.message;
  return { fd, path, sizeBytes, from: run.request.contentOffset };
}

function prependedTo(run: Run, branch: Branch, fromLine?: number): string {
  const delivered = run.settings.deliveredIn.has('file') ? deliveredBy(run, branch) : undefined;
  const { sender, recipient } = branch;
  return formatPrependedHeaders({ sender, original: recipient.original, delivered, fromLine });
}

/** Does what was planned. @returns `undefined` when there is no such user */
export async function deliverToMailbox(
  run: Run,
  branch: Branch,
  plan: MailboxPlan,
): Promise<Progress | undefined> {
  if (run.duplicates.isRepeated('mailbox', branch.local)) return 'done';
  switch (plan.kind) {
    case 'nobody':
      return undefined;
    case 'failed':
      return run.failed(branch, plan.status, plan.text);
    case 'transport':
      return passOn(run, branch, plan.target, plan.because);
    case 'command':
      return deliverToCommand(run, { ...branch, rights: plan.user }, plan.command);
    case 'file': {
      if (run.isProbe) return run.sent(branch, plan.success.replace('delivered', 'delivers'));
      const { result } = await run.local.work.run([plan.step]);
      return reportFile(run, branch, plan, result);
    }
  }
}

/** Hands the recipient over to another agent, which logs what becomes of it. */
export async function passOn(
  run: Run,
  branch: Branch,
  target: PassTarget,
  because: string,
): Promise<Progress> {
  run.trail.push(`${because}: ${target.transport}:${target.nexthop}`);
  run.delivery.log.info({
    kind: 'text',
    queueId: run.request.queueId,
    text: `passing <${branch.recipient.address}> to transport=${target.transport}`,
  });
  try {
    const recipient = { ...branch.recipient, offset: -1 };
    run.outcomes += 1;
    return (await run.delivery.passOn(recipient, target)) ? 'done' : 'deferred';
  } catch (error) {
    run.warn((error as Error).message);
    return run.failed(branch, '4.3.0', 'mail transport unavailable');
  }
}

/** Tells what came of a delivery to a file. */
export function reportFile(
  run: Run,
  branch: Branch,
  plan: FilePlan,
  result: StepResult | undefined,
): Promise<Progress> {
  for (const text of warningsOf(result)) run.warn(text);
  switch (result?.kind) {
    case 'delivered':
      if (plan.biff !== undefined) run.local.biff.notify(plan.biff, result.offset ?? 0);
      return run.sent(branch, plan.success);
    case 'busy':
      return run.failed(branch, '4.2.0', plan.trouble + result.text);
    case 'failed':
      if ('corrupt' in result) {
        run.delivery.message.setMode(QUEUE_FILE_MODE.corrupt);
        return run.failed(branch, result.status, result.text);
      }
      if (plan.format === 'maildir' && result.text.endsWith('Permission denied')) {
        const { uid, gid } = plan.step.identity;
        run.warn(`maildir access problem for UID/GID=${uid}/${gid}: ${result.text}`);
        run.warn('perhaps you need to create the maildirs in advance');
      }
      return run.failed(branch, result.status, plan.trouble + result.text);
    default:
      return run.failed(branch, '4.3.0', `${plan.trouble}no result`);
  }
}

function warningsOf(result: StepResult | undefined): readonly string[] {
  return (result !== undefined && 'warnings' in result ? result.warnings : undefined) ?? [];
}
