/** What local has threads do, as a recipient. */
import type { FileResult } from '../../lib/delivery/file-result.ts';
import { appendToMailbox, type MailboxDelivery } from '../../lib/delivery/mailbox.ts';
import { deliverToMaildir, type MaildirDelivery } from '../../lib/delivery/maildir.ts';
import {
  checkDirectory,
  type DirectoryCheck,
  type ForwardSearch,
  type IncludeRead,
  type ListResult,
  readInclude,
  searchForward,
} from './list-file.ts';

export type Step =
  | DirectoryCheck
  | ForwardSearch
  | IncludeRead
  | ({ readonly kind: 'mailbox' } & MailboxDelivery)
  | ({ readonly kind: 'maildir' } & MaildirDelivery);

export type StepResult = FileResult | ListResult;

/** Takes one step. @returns `undefined` to go on with the next */
export function takeStep(step: Step): StepResult | undefined {
  switch (step.kind) {
    case 'home':
    case 'directory':
      return checkDirectory(step);
    case 'forward':
      return searchForward(step);
    case 'include':
      return readInclude(step);
    case 'mailbox':
      return appendToMailbox(step);
    case 'maildir':
      return deliverToMaildir(step);
  }
}
