/** Bounces that go to the owner of a list rather than to whoever wrote to it. */
import { delaysOf } from '../../lib/delivery/delivery-times.ts';
import { detailOf } from '../../lib/delivery/detail.ts';
import type { Outcome } from '../../lib/delivery/outcome.ts';
import { TRACE_FLAGS } from '../../lib/delivery/request.ts';
import type { Status } from '../../lib/dsn/status.ts';
import { ownerOf } from './alias.ts';
import type { Branch } from './branch.ts';
import type { Progress, Run } from './run.ts';

/**
 * Bounces a recipient. When an alias of its name has an owner, the owner hears of it, at once: the
 * bounce log of the message is for its sender only.
 */
export async function bounceToOwner(
  run: Run,
  branch: Branch,
  status: Status<5>,
  text: string,
): Promise<Progress> {
  const owner = await ownerOf(run, branch.local);
  if (owner === undefined || run.isProbe) return run.failed(branch, status, text);
  const outcome: Outcome = { kind: 'bounced', status, text, relay: 'local' };
  const { request } = run;
  const told = await run.local.bounce.one(
    'bounce',
    {
      flags: request.flags & TRACE_FLAGS,
      queueName: request.queueName,
      queueId: request.queueId,
      encoding: request.encoding,
      sendOptions: request.sendOptions,
      sender: owner,
      envelopeId: request.envelopeId,
      retFlags: request.retFlags,
    },
    branch.recipient,
    detailOf(outcome),
  );
  if (!told) return run.failed(branch, '4.3.0', 'bounce or trace service failure');
  run.outcomes += 1;
  run.delivery.log.info({
    kind: 'delivery',
    queueId: request.queueId,
    to: branch.recipient.address,
    origTo: branch.recipient.original,
    relay: 'local',
    ...delaysOf(request.times),
    dsn: status,
    status: 'bounced',
    text,
  });
  return 'done';
}
