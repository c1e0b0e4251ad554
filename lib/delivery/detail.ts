import type { DsnDetail } from '../dsn/detail.ts';
import type { Outcome } from './outcome.ts';

const ACTIONS = { sent: 'delivered', deferred: 'delayed', bounced: 'failed' } as const;

/** What the log services and notices are told of an outcome. */
export function detailOf(outcome: Outcome): DsnDetail {
  const { diagnostic, remoteMta } = outcome;
  return {
    status: outcome.status,
    diagType: diagnostic?.type ?? '',
    diagText: diagnostic?.text ?? '',
    mtaType: remoteMta?.type ?? '',
    mtaName: remoteMta?.name ?? '',
    action: (outcome.kind === 'sent' ? outcome.action : undefined) ?? ACTIONS[outcome.kind],
    reason: outcome.text,
  };
}
