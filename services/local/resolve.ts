/** Where an address of a list leads: to one of ours, or away. */
import { unquote } from '../../lib/address/address.ts';
import { RESOLVE } from '../../lib/clients/rewrite.ts';
import type { Status } from '../../lib/dsn/status.ts';
import { type Branch, nextBranch, withUnmatched } from './branch.ts';
import type { Run } from './run.ts';

export type Resolution =
  | { readonly kind: 'here' | 'away'; readonly next: Branch; readonly transport: string }
  | {
      readonly kind: 'failed';
      readonly status: Status<4> | Status<5>;
      readonly text: string;
      readonly warning?: string;
    };

/** Asks trivial-rewrite about an address in its quoted form. */
export async function resolveAddress(
  run: Run,
  branch: Branch,
  external: string,
): Promise<Resolution> {
  const { rewrite, settings } = run.local;
  const failed = { kind: 'failed', status: '4.3.0', text: 'address resolver failure' } as const;
  let resolution: Awaited<ReturnType<typeof rewrite.resolve>>;
  try {
    const address = unquote(await rewrite.rewrite('local', external));
    resolution = await rewrite.resolve(branch.sender, address);
  } catch (error) {
    return { ...failed, warning: (error as Error).message };
  }
  const { flags, recipient, transport } = resolution;
  if ((flags & RESOLVE.FAIL) !== 0) return failed;
  if ((flags & RESOLVE.ERROR) !== 0) {
    return { kind: 'failed', status: '5.1.3', text: `bad recipient address syntax: ${recipient}` };
  }
  const address = withUnmatched(recipient, branch.unmatched);
  const next = nextBranch(branch, address, settings.parameters);
  const isOurs = transport === run.delivery.context.serviceName;
  return { kind: isOurs ? 'here' : 'away', next, transport };
}
