/** Notices to postmaster of sessions that went wrong: `notify_classes`. Postfix: smtpd(8). */
import { CLEANUP_FLAG, type CleanupClient } from '../../lib/clients/cleanup.ts';
import { postNotice } from '../../lib/clients/notice.ts';
import { splitList } from '../../lib/config/list.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import type { Settings } from './rule.ts';
import { type ErrorClass, parseNotifyClasses, Transcript } from './transcript.ts';

const CLASSES: readonly ErrorClass[] = ['bounce', 'policy', 'protocol', 'resource', 'software'];

export class Notices {
  readonly #settings: Settings;
  readonly #cleanup: CleanupClient;
  readonly #log: Log;
  readonly #wanted: ReadonlySet<string>;
  readonly #flags: number;

  /** @throws {FatalError} when notify_classes or header_from_format has a word that is none */
  constructor(settings: Settings, cleanup: CleanupClient, log: Log) {
    this.#settings = settings;
    this.#cleanup = cleanup;
    this.#log = log;
    const { header_from_format: format } = settings;
    if (!/^(?:standard|obsolete)$/i.test(format)) {
      throw new FatalError(`invalid setting: "header_from_format = ${format}"`);
    }
    this.#wanted = parseNotifyClasses(settings.notify_classes);
    const isFiltered = splitList(settings.internal_mail_filter_classes).includes('notify');
    const filters = isFiltered ? CLEANUP_FLAG.FILTER | CLEANUP_FLAG.MILTER : 0;
    this.#flags = CLEANUP_FLAG.MAP_OK | filters;
  }

  /** Where a session is written down; `undefined`: nobody wants to know. */
  begin(): Transcript | undefined {
    return CLASSES.some((name) => this.#wanted.has(name)) ? new Transcript() : undefined;
  }

  /** A long session has come to a point where its story can be told. */
  endChapter(transcript: Transcript, client: string): Promise<void> | undefined {
    const { smtpd_history_flush_threshold: threshold } = this.#settings;
    return transcript.lineCount > threshold ? this.end(transcript, client) : undefined;
  }

  /** @param client as the log names it. @returns when there is a notice: it has been queued */
  end(transcript: Transcript, client: string): Promise<void> | undefined {
    const { classes } = transcript;
    const isOfInterest = [...classes].some((name) => this.#wanted.has(name));
    const lines = isOfInterest ? this.#linesOf(transcript, client) : undefined;
    const isBounce = classes.has('bounce');
    transcript.clear();
    return lines && this.#post(lines, isBounce);
  }

  #linesOf(transcript: Transcript, client: string): string[] {
    const {
      error_notice_recipient: recipient,
      header_from_format,
      mail_name,
      myhostname,
    } = this.#settings;
    const named = (name: string, address: string) =>
      header_from_format.toLowerCase() === 'obsolete'
        ? `${address} (${name})`
        : `${name} <${address}>`;
    return [
      `From: ${named('Mail Delivery System', `MAILER-DAEMON@${myhostname}`)}`,
      `To: ${named('Postmaster', recipient)}`,
      `Subject: ${mail_name} SMTP server: errors from ${client}`,
      '',
      ...transcript.format(),
    ];
  }

  /** Trouble with a notice is no trouble for anybody's mail. */
  async #post(lines: readonly string[], isBounce: boolean): Promise<void> {
    const settings = this.#settings;
    const { double_bounce_sender: sender, myhostname: hostname, mail_name: mailName } = settings;
    const recipient = isBounce ? settings.bounce_notice_recipient : settings.error_notice_recipient;
    const from = sender.includes('@') ? sender : `${sender}@${hostname}`;
    try {
      const notice = { sender: from, recipient, lines, hostname, mailName };
      await postNotice(this.#cleanup, notice, this.#flags);
    } catch (error) {
      this.#log.warn(`postmaster notify: ${(error as Error).message}`);
    }
  }
}
