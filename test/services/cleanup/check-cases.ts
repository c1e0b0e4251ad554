/** Header and body checks, and limits. */
import { BOUNCE_FLAGS, type CaseGroup, header, MULTIPART } from './case-group.ts';
import { message } from './submission.ts';

export const CHECK_CASES: readonly CaseGroup[] = [
  {
    title: 'checks',
    main: {
      header_checks: 'regexp:$config_directory/header',
      body_checks: 'regexp:$config_directory/body',
      nested_header_checks: 'regexp:$config_directory/nested',
      body_checks_size_limit: '30',
    },
    files: {
      header: [
        '/^Subject: reject 4/ REJECT 4.7.1 later, please',
        '/^Subject: reject 2/ REJECT 2.0.0 odd',
        '/^Subject: reject text/ REJECT no thanks',
        '/^Subject: reject/ REJECT',
        '/^Subject: warn/ WARN look',
        '/^Subject: info/ INFO look',
        '/^Subject: hold/ HOLD later',
        '/^Subject: discard/ DISCARD gone',
        '/^Subject: filter/ FILTER smtp:[127.0.0.1]:10025',
        '/^Subject: badfilter/ FILTER nowhere',
        '/^Subject: nofilter/ FILTER',
        '/^Subject: redirect/ REDIRECT else@ok.test',
        '/^Subject: badredirect/ REDIRECT else',
        '/^Subject: bcc/ BCC copy@ok.test',
        '/^Subject: badbcc/ BCC copy',
        '/^Subject: prepend/ PREPEND X-New: header',
        '/^Subject: badprepend/ PREPEND nonsense',
        '/^Subject: replace/ REPLACE Subject: other',
        '/^Subject: toto/ REPLACE To: newto',
        '/^Subject: noreplace/ REPLACE',
        '/^Subject: ignore/ IGNORE',
        '/^Subject: strip/ STRIP out',
        '/^Subject: dunno/ DUNNO',
        '/^Subject: ok/ OK',
        '/^Subject: lower/ ignore',
        '/^Subject: unknown/ BOGUS x',
        '/^Content-Type: .*mixed/ WARN mime',
        '/fold/ WARN folded',
        '',
      ].join('\n'),
      nested: '/^Subject: inner/ IGNORE\n/^Received/ WARN nested\n',
      body: [
        '/reject/ REJECT body text',
        '/ignore/ IGNORE',
        '/replace/ REPLACE other line',
        '/prepend/ PREPEND line before',
        '/warn/ WARN hm',
        '/late/ REJECT too late',
        '',
      ].join('\n'),
    },
    cases: {
      ...Object.fromEntries(
        [
          ...['reject 4', 'reject 2', 'reject text', 'reject', 'warn', 'info', 'hold', 'discard'],
          ...['filter', 'badfilter', 'nofilter', 'redirect', 'badredirect', 'bcc', 'badbcc'],
          ...['prepend', 'badprepend', 'replace', 'toto', 'noreplace', 'ignore', 'strip', 'dunno'],
          ...['ok', 'lower', 'unknown'],
        ].map((word) => [
          word,
          message({
            envelope: [
              ['A', 'log_message_origin=h[1.2.3.4]'],
              ['A', 'log_protocol_name=ESMTP'],
            ],
            content: [`Subject: ${word}`, 'To: q', '', 'b'],
          }),
        ]),
      ),
      'a client unknown': message({ content: ['Subject: warn', '', 'b'] }),
      'a folded header': message({ content: ['X: a', ' fold', '', 'b'] }),
      'body lines': message({
        content: ['X: a', '', 'ignore', 'replace', 'prepend', 'warn', 'late', 'reject'],
      }),
      'a rejected body': message({ content: ['X: a', '', 'reject', 'b'] }),
      'a multipart': message({ content: MULTIPART }),
      'checks are off': message({ flags: 48, content: ['Subject: reject', '', 'reject'] }),
      'a submission that is rejected': message({
        flags: BOUNCE_FLAGS,
        content: ['Subject: reject', '', 'b'],
      }),
    },
  },
  {
    title: 'limits',
    main: {
      header_size_limit: '200',
      line_length_limit: '512',
      message_size_limit: '5000',
      mime_nesting_limit: '2',
      mime_boundary_length_limit: '5',
      header_checks: 'regexp:{{/^never/ REJECT}}',
      duplicate_filter_limit: '2',
      message_strip_characters: '\\0\\377',
      message_reject_characters: '\\7',
    },
    cases: {
      'a header too long': header(`X: ${'x'.repeat(150)}`, ` ${'y'.repeat(150)}`, ' z'),
      'a message too big': message({
        content: ['X: y', '', ...Array(60).fill('z'.repeat(100))],
      }),
      'a message too big, returned': message({
        flags: BOUNCE_FLAGS,
        content: ['X: y', '', ...Array(60).fill('z'.repeat(100))],
      }),
      'lines too long': message({
        content: ['X: y', '', 'a'.repeat(1100), ['L', 'b'.repeat(512)], ''],
      }),
      'nested too deep': message({
        content: [
          'Content-Type: multipart/mixed; boundary=a',
          '',
          ...['b', 'c', 'd', 'e'].flatMap((next, at) => [
            `--${'abcd'.charAt(at)}`,
            `Content-Type: multipart/mixed; boundary=${next}`,
            '',
          ]),
          '--e',
          '',
          'x',
        ],
      }),
      'boundaries that are alike': message({
        content: [
          ...['Content-Type: multipart/mixed; boundary=abcdefgh', '', '--abcdefXX'],
          ...['Content-Transfer-Encoding: 8bit', '', 'x'],
        ],
      }),
      'characters to strip': message({ content: ['X: \0a\xff', '', 'b\0\xff'] }),
      'characters to reject': message({ content: ['X: a', '', 'bell\x07'] }),
      'duplicates beyond the limit': message({
        recipients: ['a@b', 'c@d', 'e@f', 'a@b', 'e@f'],
        content: ['', 'x'],
      }),
    },
  },
];
