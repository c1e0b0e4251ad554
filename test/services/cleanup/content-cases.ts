/** Headers and content: what cleanup adds, rewrites and refuses. */
import {
  BOUNCE_FLAGS,
  type CaseGroup,
  E,
  header,
  INTERNAL_FLAGS,
  M,
  MULTIPART,
  N,
  R,
  S,
  stream,
  T,
  X,
} from './case-group.ts';
import { message } from './submission.ts';

const addressHeaders = Object.fromEntries(
  [
    'From: a',
    'To: "J. R." <jr> (his own), <b>c, "x" (y) <z>',
    'From: "Joe Q. User" <joe>',
    'From:   joe   (the   comment)',
    'Sender: <joe@host>',
    'To: joe, <bob>, "x y"@z, (c) k (d) @ (e) m',
    'To: undisclosed-recipients:;',
    'To: friends: a, b <c>, d@e.f; g',
    'To: joe bob@x.test fred',
    'To: a@b@c, "a@b"@c, a\\ b, a\\@b',
    'To: user@[10.1.2.3], user@[IPv6:::1]',
    'To: @route,@two:user@dom.test',
    'To: host!user, user%host',
    'To: <>, <a, b>, c>',
    'To: "unclosed <a@b',
    'To: (unclosed comment a@b',
    'To: a;b:c',
    'To: ,,,',
    'To: =?utf-8?q?J=C3=B6rg?= <joerg>',
    'To: J\xc3\xb6rg <j>, "\xfc" <k>',
    'To: very.long.name.one, very.long.name.two, very.long.name.three, very.long.name.four, five',
    'To : spaced',
    'Cc:tight',
    'Reply-To: x y z',
    'Errors-To: "a\\"b" <c>',
    'Apparently-To: q',
    'Return-Receipt-To: q',
    'Disposition-Notification-To: q',
    'Mail-Followup-To: q',
    'Resent-To: q',
    'Resent-Reply-To: q',
  ].map((line) => [line, header(line)]),
);

const strict = (parameter: string): CaseGroup => ({
  title: `${parameter} = yes`,
  main: { [parameter]: 'yes' },
  cases: {
    'a part with 8-bit data and no encoding': message({
      content: [
        ...['Content-Type: multipart/mixed; boundary=b', '', '--b', '', 'gr\xfc\xdfe', '--b--'],
      ],
    }),
    '8-bit data in an 8bit body': message({
      content: ['Content-Transfer-Encoding: 8bit', '', 'gr\xfc\xdfe'],
    }),
    '8-bit data in a header': message({ content: ['Subject: gr\xfc\xdfe', '', 'x'] }),
    'a multipart in base64': message({
      content: [
        ...['Content-Type: multipart/mixed; boundary=b', 'Content-Transfer-Encoding: base64'],
        ...['', '--b', '', 'x', '--b--'],
      ],
    }),
    'a part of 8 bits in a multipart of 7': message({
      content: [
        ...['Content-Type: multipart/mixed; boundary=b', 'Content-Transfer-Encoding: 7bit', ''],
        ...['--b', 'Content-Transfer-Encoding: 8bit', '', 'gr\xfc\xdfe', '--b--'],
      ],
    }),
    'plain text': message({ content: ['Subject: x', '', 'x'] }),
  },
});

export const CONTENT_CASES: readonly CaseGroup[] = [
  { title: 'addresses in headers', cases: addressHeaders },
  {
    title: 'headers and content',
    cases: {
      'a plain message': message({ content: ['From: a@b', 'To: c@d', 'Subject: x', '', 'body'] }),
      'no header but ours': message({ content: ['', 'body'] }),
      'no content at all': message({ content: [] }),
      'headers only': message({ content: ['Subject: x'] }),
      'no empty line': message({ content: ['Subject: x', 'no header', 'a: b'] }),
      'a continued header': header('Subject: one', ' two', '\tthree'),
      'a continued address header': header('To: one,', '  two,', '\tthree'),
      'an empty continuation': header('Subject: one', ' ', ' two'),
      'a header without a name': header(': x'),
      'blanks before the colon': header('Subject : x', 'X-Tab\t : y: z', 'To  : a@b', 'From\t:c@d'),
      'blanks before the colon of a part': message({
        content: [
          'MIME-Version : 1.0',
          'Content-Type : multipart/mixed; boundary=b',
          '',
          '--b',
          'A : b',
          '',
          'x : y',
          '--b--',
        ],
      }),
      'a header in pieces': message({
        content: [['L', 'Subject: on'], ['L', 'e tw'], ['N', 'o'], '', 'body'],
      }),
      'a very long header': header(`X-Long: ${'x'.repeat(5000)}`),
      'a header of exactly the limit': header(`X: ${'x'.repeat(2045)}`),
      'a very long line': message({
        content: ['Subject: x', '', ['L', 'x'.repeat(2048)], 'y', ['N', 'z'.repeat(5000)], 'end'],
      }),
      'a last line without end': message({ content: ['Subject: x', '', 'a', ['L', 'open']] }),
      'a header without end': message({ content: ['Subject: x', ['L', 'X-Open: yes']] }),
      'lines with CR, LF and NUL': message({
        content: [
          'Subject: a\rb\nc',
          'X: \0',
          '',
          'a\rb',
          'c\n\nd',
          '\0\xff',
          '\r',
          'x'.repeat(13),
        ],
      }),
      padding: message({ content: ['Subject: x', ['w', '  0'], '', 'a', ['w', '0'], 'b'] }),
      'white space first': stream([T, S, R, M, ['N', ' Received: x'], N, ['N', ''], X, E]),
      '8-bit encoding': header('Content-Transfer-Encoding: 8bit'),
      'binary encoding': header('Content-Transfer-Encoding: BINARY'),
      '8bit with a comment': header('Content-Transfer-Encoding: 8bit (really)'),
      'encoding given and found': message({
        envelope: [['A', 'encoding=7bit']],
        content: ['Content-Transfer-Encoding: 8bit', '', 'x'],
      }),
      multipart: message({ content: MULTIPART }),
      'all headers there': header('Date: now', 'From: x', 'Message-ID: <a@b>', 'To: y'),
      'an empty message id': header('Message-Id:'),
      resent: header('Resent-From: r', 'From: f', 'Date: d', 'Message-Id: <m@x>'),
      'resent message id': header('Resent-Message-Id: <r@x>', 'Message-Id: <m@x>'),
      'headers that are dropped': header(
        ...(['Bcc: b', 'Return-Path: <x>', 'Content-Length: 5'] as const),
        ...['Resent-Bcc: q', 'X-Kept: 1'],
      ),
      'a full name': message({
        envelope: [['F', 'A "B" \\ C']],
        content: ['Subject: x', '', 'x'],
      }),
      ...Object.fromEntries(
        ['J. Doe', 'J\xf6rg D', 'a|b!c%d', "O'Neill", 'tab\there', 'a (b)', '=?x?q?y?=', ' '].map(
          (name) => [
            `full name ${name}`,
            message({ envelope: [['F', name]], content: ['Subject: x', '', 'x'] }),
          ],
        ),
      ),
      'a sender that needs quotes': message({
        sender: 'odd user@x.test',
        content: ['Subject: x', '', 'x'],
      }),
      'the null sender': message({ sender: '', content: ['Subject: x', '', 'x'] }),
      'mailer-daemon as sender': message({
        sender: 'mailer-daemon@lab.test',
        content: ['Subject: x', '', 'x'],
      }),
      'mail from outside': message({
        context: 'remote',
        content: ['From: a', 'To: b', 'Bcc: c', '', 'x'],
      }),
      'mail from ourselves': message({
        flags: INTERNAL_FLAGS,
        sender: '',
        content: ['From: a', '', 'x'],
      }),
      'mail from pickup with UTF-8': message({
        flags: BOUNCE_FLAGS,
        sender: 'j\xc3\xb6rg@x.test',
        content: [
          'From: J\xc3\xb6rg <j>',
          'Subject: gr\xc3\xbc\xc3\x9fe',
          '',
          'gr\xc3\xbc\xc3\x9fe',
        ],
      }),
      'UTF-8 requested': message({
        flags: 178 + 256,
        sender: 'j\xc3\xb6rg@x.test',
        recipients: ['b\xc3\xb6b@ok.test'],
        content: ['Subject: gr\xc3\xbc\xc3\x9fe', '', 'x'],
      }),
    },
  },
  strict('strict_7bit_headers'),
  strict('strict_8bitmime'),
  strict('strict_8bitmime_body'),
  strict('strict_mime_encoding_domain'),
  strict('disable_mime_input_processing'),
];
