/** From the destinations of a list to deliveries. */
import type { Branch } from './branch.ts';
import { deliverToCommand } from './command.ts';
import type { Destination } from './destination.ts';
import { deliverToFile } from './file.ts';
import { forward } from './forwarding.ts';
import { expandInclude } from './include.ts';
import { resolveAddress } from './resolve.ts';
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
  const way = await resolveAddress(run, branch, external);
  if (way.kind === 'failed') {
    if (way.warning !== undefined) run.warn(way.warning);
    return run.failed(branch, way.status, way.text);
  }
  const { next } = way;
  run.trail.push(`${external} is ${next.recipient.address}, transport ${way.transport}`);
  return way.kind === 'here' ? run.deliver(run, next) : forward(run, next);
}
