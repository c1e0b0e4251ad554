/** bounce(8): delivery status notifications, and how long mail is tried. */
import { bool, int, list, seconds, text } from '../kind.ts';

export const bounceParameters = {
  '2bounce_notice_recipient': text('postmaster', { min: 1 }),
  bounce_notice_recipient: text('postmaster', { min: 1 }),
  bounce_size_limit: int('50000', { min: 1 }),
  bounce_template_file: text(''),
  delay_notice_recipient: text('postmaster', { min: 1 }),
  delay_warning_time: seconds('0h'),
  enable_threaded_bounces: bool('no'),
  header_from_format: text('standard', { min: 1 }),
  maximal_queue_lifetime: seconds('5d', { min: 0, max: 8640000 }),
  notify_classes: list('resource, software'),
};
