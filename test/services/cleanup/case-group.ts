/** What cases of an exchange with cleanup are made of. */
import type { RecordText } from '../../support/records.ts';
import { message, type Submission } from './submission.ts';

/** Cases with one main.cf. */
export interface CaseGroup {
  readonly title: string;
  readonly main?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly cases: Readonly<Record<string, Submission>>;
}

export const BOUNCE_FLAGS = 627;
export const INTERNAL_FLAGS = 32;

export const stream = (records: readonly RecordText[], flags = 178): Submission => ({
  flags,
  records,
});
export const T: RecordText = ['T', '1700000000 5'];
export const S: RecordText = ['S', 'al@x.test'];
export const R: RecordText = ['R', 'bob@ok.test'];
export const M: RecordText = ['M', ''];
export const N: RecordText = ['N', 'Received: x'];
export const X: RecordText = ['X', ''];
export const E: RecordText = ['E', ''];

export const header = (line: string, ...more: (string | RecordText)[]): Submission =>
  message({ content: [line, ...more, '', 'body'] });

/** A message in parts, one of them a message. */
export const MULTIPART = [
  'MIME-Version: 1.0',
  'Content-Type: multipart/mixed; boundary="=_a b"',
  '',
  'preamble',
  '--=_a b',
  'Content-Type: text/plain',
  'Content-Transfer-Encoding: 8bit',
  '',
  'gr\xfc\xdfe',
  '--=_a b',
  'Content-Type: message/rfc822',
  '',
  'From: inner@y.test',
  'Received: nested',
  'Subject: inner',
  '',
  'inner body',
  '--=_a b--',
  'epilogue',
];
