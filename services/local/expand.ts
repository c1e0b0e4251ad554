/** From the destinations of a list to deliveries. */
import { unquote } from '../../lib/address/address.ts';
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import { type Branch, nextBranch, withUnmatched } from './branch.ts';
import { deliverToCommand } from './command.ts';
import type { Destination } from './destination.ts';
import { deliverToFile } from './file.ts';
import { forward } from './forwarding.ts';
import { expandInclude } from './include.ts';
import type { Progress, Run } from './run.ts';

/** Delivers to one destination after the other; a deferral ends it, as all will be tried again. */
export async function deliverDestinations(
  run: Run,
  branch: Branch,
  destinations: Iterable<Destination>,
): Promise<Progress> {
  for (const destination of destinations) {
    if ((await deliverDestination(run, branch, destination)) === 'deferred') return 'deferred';
  }
  return 'done';
}

function deliverDestination(run: Run, branch: Branch, destination: Destination): Promise<Progress> {
  switch (destination.kind) {
    case 'file':
      return deliverToFile(run, branch, destination.path);
    case 'command':
      if (!run.settings.commandsFrom.has(branch.expansion ?? 'alias')) {
        return run.failed(branch, '5.7.1', 'mail to command is restricted');
      }
      return deliverToCommand(run, branch, destination.command);
    case 'include':
      return expandInclude(run, branch, destination.path, (named, list) =>
        deliverDestinations(run, named, list),
      );
    case 'address':
      return deliverAddress(run, branch, destination.external);
  }
}

/** Delivers to an address in its quoted form: here, if it is one of ours, or by forwarding. */
export async function deliverAddress(
  run: Run,
  branch: Branch,
  external: string,
): Promise<Progress> {
  const { rewrite, settings } = run.local;
  let resolution: Awaited<ReturnType<typeof rewrite.resolve>>;
  try {
    const address = unquote(await rewrite.rewrite('local', external));
    resolution = await rewrite.resolve(branch.sender, address);
  } catch (error) {
    run.warn((error as Error).message);
    return run.failed(branch, '4.3.0', 'address resolver failure');
  }
  const { flags, recipient, transport } = resolution;
  if ((flags & RESOLVE.FAIL) !== 0) {
    return run.failed(branch, '4.3.0', 'address resolver failure');
  }
  if ((flags & RESOLVE.ERROR) !== 0) {
    return run.failed(branch, '5.1.3', `bad recipient address syntax: ${recipient}`);
  }
  const address = withUnmatched(recipient, branch.unmatched);
  const next = nextBranch(branch, address, settings.parameters);
  const isOurs = transport === run.delivery.context.serviceName;
  run.trail.push(`${external} is ${address}, transport ${transport}`);
  return isOurs ? run.deliver(run, next) : forward(run, next);
}
