/** The queue as `postqueue -p` (mailq) prints it. Pure: queue.md 7.5. */
import type { ListedMessage } from '../../lib/clients/showq.ts';
import { dateOf } from '../../lib/clock/clock.ts';

const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
const MONTHS = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

/** Widths of the columns, which follow the configuration and not the id. */
interface Layout {
  readonly heading: string;
  readonly id: number;
  readonly size: number;
  readonly time: number;
}

const SHORT: Layout = {
  heading: '-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n',
  id: 11,
  size: 7,
  time: 20,
};
const LONG: Layout = {
  heading: '----Queue ID----- --Size-- ---Arrival Time---- --Sender/Recipient------\n',
  id: 17,
  size: 8,
  time: 19,
};
/** Where the text of a reason ends. */
const REASON_WIDTH = 76;

/** Prints message by message; the end tells the totals. */
export class QueueListing {
  readonly #layout: Layout;
  #count = 0;
  #bytes = 0;

  /** @param longIds enable_long_queue_ids */
  constructor(longIds: boolean) {
    this.#layout = longIds ? LONG : SHORT;
  }

  /** A message with the empty line, or the heading, before it. */
  message(message: ListedMessage): string {
    const before = this.#count === 0 ? this.#layout.heading : '\n';
    this.#count += 1;
    this.#bytes += message.sizeBytes;
    const id = `${message.queueId}${marksOf(message)}`;
    const time = asctime(message.arrivalTime);
    const size = String(message.sizeBytes);
    const head = this.#line(id, size, time, message.sender);
    return before + head + this.#recipients(message);
  }

  end(): string {
    if (this.#count === 0) return 'Mail queue is empty\n';
    const kilobytes = Math.trunc(this.#bytes / 1024);
    const noun = this.#count === 1 ? 'Request' : 'Requests';
    return `\n-- ${kilobytes} Kbytes in ${this.#count} ${noun}.\n`;
  }

  #recipients({ recipients }: ListedMessage): string {
    let text = '';
    let before = '';
    for (const { address, reason } of recipients) {
      if (reason !== before) {
        const shown = `(${reason === '' ? 'reason unavailable' : reason})`;
        text += `${' '.repeat(Math.max(0, REASON_WIDTH + 2 - shown.length))}${shown}\n`;
      }
      before = reason;
      text += this.#line('', '', '', address);
    }
    return text;
  }

  #line(id: string, size: string, time: string, address: string): string {
    const { id: idWidth, size: sizeWidth, time: timeWidth } = this.#layout;
    const when = time.slice(0, timeWidth).padEnd(timeWidth);
    return `${id.padEnd(idWidth)} ${size.padStart(sizeWidth)} ${when} ${address}\n`;
  }
}

function marksOf({ queueName, forcedExpire }: ListedMessage): string {
  const place = queueName === 'active' ? '*' : queueName === 'hold' ? '!' : '';
  return forcedExpire ? `${place}#` : place;
}

/** `Sat Nov 21 23:26:45 2026`, local time. */
function asctime(seconds: number): string {
  const date = dateOf(seconds * 1000);
  const two = (number: number) => String(number).padStart(2, '0');
  const day = String(date.getDate()).padStart(2);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
  return `${DAYS[date.getDay()]} ${MONTHS[date.getMonth()]} ${day} ${clock} ${date.getFullYear()}`;
}
