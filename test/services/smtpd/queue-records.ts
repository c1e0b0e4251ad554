/** Queue files as tests compare them. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../../support/condition.ts';
import type { MailSystem } from '../../support/mail-system.ts';
import { parseRecords } from '../../support/records.ts';

/** The records of a message that is taken out of the queue, without what differs every time. */
export async function takeFile(mail: MailSystem, id: string): Promise<string[]> {
  const path = join(mail.queue, 'incoming', id);
  const bytes = await eventually(`${id} in the queue`, () => readFileSync(path));
  rmSync(path);
  const records = parseRecords(bytes).map(([type, text]) => `${type}${text}`);
  return records.map((record) => neutral(record).replaceAll(id, 'QID'));
}

function neutral(record: string): string {
  return record
    .replace(/^C.*/, 'C')
    .replace(/^T\d+ \d+/, 'T')
    .replace(/^(A(?:create_time|client_port|log_client_port|server_address)=).*/, '$1')
    .replace(/\w{3}, [ \d]\d \w{3} \d{4} [\d:]{8} [+-]\d{4}/, 'DATE')
    .replace(/^(NMessage-Id: <)\d{14}/, '$1TIME');
}
