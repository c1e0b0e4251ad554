/** What is put through both cleanups: groups with one main.cf each. */
import { message, type RecordText, type Submission } from './submission.ts';

export interface CaseGroup {
  readonly title: string;
  readonly main?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  readonly cases: Readonly<Record<string, Submission>>;
}

const BOUNCE_FLAGS = 627;
const INTERNAL_FLAGS = 32;

const stream = (records: readonly RecordText[], flags = 178): Submission => ({ flags, records });
const T: RecordText = ['T', '1700000000 5'];
const S: RecordText = ['S', 'al@x.test'];
const R: RecordText = ['R', 'bob@ok.test'];
const M: RecordText = ['M', ''];
const N: RecordText = ['N', 'Received: x'];
const X: RecordText = ['X', ''];
const E: RecordText = ['E', ''];

const header = (line: string, ...more: (string | RecordText)[]): Submission =>
  message({ content: [line, ...more, '', 'body'] });

const MULTIPART = [
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

export const CASES: readonly CaseGroup[] = [
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
  {
    title: 'envelopes',
    main: { delay_warning_time: '4h' },
    cases: {
      'no time': stream([S, R, M, N, X, E]),
      'no sender': stream([T, R, M, N, X, E]),
      'no sender, no recipient': stream([T, M, N, X, E]),
      'no recipient': stream([T, S, M, N, X, E]),
      'two senders': stream([T, S, S, R, M, N, X, E]),
      'two times': stream([T, ['T', '1600000000'], S, R, M, N, X, E]),
      'no end of content': stream([T, S, R, M, N, E]),
      'content type in the envelope': stream([T, S, ['N', 'x'], R, M, N, X, E]),
      'envelope type in the content': stream([T, S, R, M, N, ['S', 'x'], X, E]),
      'a pointer': stream([T, S, R, M, N, ['p', '5'], X, E]),
      'no Received: header': stream([T, S, R, M, ['N', 'Subject: x'], X, E]),
      'content type behind the content': stream([T, S, R, M, N, X, ['N', 'x'], E]),
      'recipients behind the content': stream([T, S, M, N, X, R, ['R', 'zz'], E]),
      'everything behind the content': stream([
        ...[T, S, R, M, N, X],
        ...([
          ['A', 'a=b'],
          ['L', 'smtp:x'],
          ['>', 'r@x'],
          ['R', 'zz'],
          ['A', 'c=d'],
        ] as const),
        E,
      ]),
      'hold asked for': stream([T, S, R, ['f', '4'], M, N, X, E]),
      'discard asked for': stream([T, S, R, M, N, X, ['f', '8'], E]),
      'a bad flag': stream([T, S, R, ['f', '16'], M, N, X, E]),
      'too many hops': stream([T, S, R, M, ...Array(51).fill(N), X, E]),
      'attributes of all kinds': stream([
        T,
        ...([
          ['A', 'log_ident=ABCDEF'],
          ['A', 'envelope_id=QQ1'],
          ['A', 'ret_flags=2'],
          ['F', 'Full Name'],
          ['F', 'Other Name'],
        ] as const),
        S,
        ...([
          ['A', 'encoding=8bit'],
          ['A', ' spaced = out '],
          ['A', 'empty='],
          ['A', 'trace_flags=1024'],
          ['V', '+='],
          ['W', '1700005'],
          ['W', '1800005'],
          ['C', '1 2 3'],
          ['A', 'create_time=5'],
          ['K', 'killed'],
        ] as const),
        R,
        M,
        N,
        X,
        E,
      ]),
      'an attribute without value': stream([T, ['A', 'oops'], S, R, M, N, X, E]),
      'an attribute without name': stream([T, ['A', '=oops'], S, R, M, N, X, E]),
      'a bad rewriting context': stream([T, ['A', 'rewrite_context=x'], S, R, M, N, X, E]),
      'bad trace flags': stream([T, ['A', 'trace_flags=x'], S, R, M, N, X, E]),
      'bad return flags': stream([T, ['A', 'ret_flags=7'], S, R, M, N, X, E]),
      'bad notify flags': stream([T, S, ['A', 'notify_flags=3'], R, M, N, X, E]),
      'a bad envelope id': stream([T, ['A', 'envelope_id=a\x01'], S, R, M, N, X, E]),
      'too many attributes': stream([
        T,
        S,
        ...Array.from({ length: 101 }, (_, n): RecordText => ['A', `n${n}=v`]),
        R,
        M,
        N,
        X,
        E,
      ]),
      'DSN of recipients': stream([
        ...[T, S],
        ...([
          ['A', 'notify_flags=6'],
          ['A', 'dsn_orig_rcpt=rfc822;Bob'],
          ['O', 'original@x'],
          ['R', 'a@b'],
          ['A', 'notify_flags=1'],
          ['R', 'c@d'],
          ['R', 'e@f'],
          ['D', 'g@h'],
          ['O', 'lost@x'],
          ['A', 'notify_flags=8'],
          ['/', 'lost'],
          ['R', 'i@j'],
        ] as const),
        ...[M, N, X, E],
      ]),
      'out of order': stream([
        ...[T, S],
        ...([
          ['O', 'a'],
          ['O', 'b'],
          ['A', 'dsn_orig_rcpt=rfc822;a'],
          ['A', 'dsn_orig_rcpt=rfc822;b'],
          ['A', 'notify_flags=4'],
          ['A', 'notify_flags=8'],
        ] as const),
        ...[R, M, N, X, E],
      ]),
      'recipients that are alike': message({
        recipients: ['a@b', 'A@B', 'a@b', 'c', 'c@lab.test', '', '"q r"@s', 'q r@s'],
        content: ['Subject: x', '', 'x'],
      }),
      'other records behind recipients': stream([T, S, R, ['A', 'late=1'], R, M, N, X, E]),
      'VERP of the null sender': stream([T, ['S', ''], ['V', '+='], R, M, N, X, E]),
      'bad VERP': stream([T, S, ['V', 'xy'], R, M, N, X, E]),
      'a NUL in a value': stream([T, ['S', 'al@x.test\0more'], ['R', 'bob@ok.test\0'], M, N, X, E]),
    },
  },
  {
    title: 'maps',
    main: {
      always_bcc: 'arch@ok.test',
      sender_bcc_maps: 'inline:{al@x.test=sbcc}',
      recipient_bcc_maps: 'inline:{bob@ok.test=rbcc+x, own=ownbcc}',
      virtual_alias_maps: 'texthash:$config_directory/virtual',
      recipient_delimiter: '+',
      canonical_maps: 'inline:{can@x.test=nac@y.test, loop1@x=loop2@x, loop2@x=loop1@x, @old=@new}',
      sender_canonical_maps: 'inline:{al@s.test=sender@canon.test}',
      recipient_canonical_maps: 'inline:{rc@x.test=rcpt@canon.test}',
      masquerade_domains: '!keep.lab.test lab.test',
      masquerade_exceptions: 'root',
      virtual_alias_recursion_limit: '20',
      virtual_alias_expansion_limit: '8',
      virtual_alias_address_length_limit: '60',
    },
    files: {
      virtual: [
        'bob@ok.test one@a, two, "three <x>" <three@b>',
        'arch@ok.test zz@b',
        'self@x.test self@x.test, other@x.test',
        'user@ext.test v@w',
        'user+known@ext.test k@w',
        '@dom.test @other.test',
        'r1@x r2@x',
        'r2@x r3@x',
        'grow@x grow1@x, a@x',
        'grow1@x b@x, c@x, d@x',
        'big@x a1,a2,a3,a4,a5,a6,a7,a8,a9,a10',
        'endless@x endless1@x',
        'endless1@x endless2@x',
        'endless2@x endless1@x',
        `long@x ${'l'.repeat(70)}@x`,
        'localuser aliased@z',
        '"odd user"@q.test quoted@z',
        'quote@q.test "odd user"@z',
        '',
      ].join('\n'),
    },
    cases: {
      'everything at once': message({
        recipients: [
          ...['bob@ok.test', 'Bob@OK.test', 'self@x.test', 'foo+e@dom.test', 'user+e@ext.test'],
          ...['user+known@ext.test', 'can@x.test', 'root@a.lab.test', 'r1@x', 'grow@x'],
        ],
        content: [
          'From: can@x.test, j@host.lab.test, root@h.lab.test, k@keep.lab.test, l@a.keep.lab.test',
          'To: rc@x.test, al@s.test, u+x@old',
          '',
          'x',
        ],
      }),
      'a notice of success is asked for': message({
        envelope: [
          ['A', 'notify_flags=6'],
          ['A', 'dsn_orig_rcpt=rfc822;Bob'],
          ['R', 'bob@ok.test'],
          ['A', 'notify_flags=2'],
        ],
        recipients: ['r1@x'],
        content: ['', 'x'],
      }),
      'no maps for this client': message({
        flags: 2 + 16,
        recipients: ['bob@ok.test', 'can@x.test'],
        content: ['From: can@x.test, j@host.lab.test', '', 'x'],
      }),
      'no copies for this client': message({
        flags: 2 + 32,
        content: ['From: a', '', 'x'],
      }),
      'too many results': message({ recipients: ['big@x'], content: ['', 'x'] }),
      'endless aliases': message({ recipients: ['endless@x'], content: ['', 'x'] }),
      'endless canonical addresses': message({ recipients: ['loop1@x'], content: ['', 'x'] }),
      'a result that is too long': message({ recipients: ['long@x'], content: ['', 'x'] }),
      'users of our own domains': message({
        recipients: ['localuser@lab.test', 'localuser', 'localuser@else.test', 'own@mx.lab.test'],
        content: ['', 'x'],
      }),
      'quoted addresses': message({
        recipients: ['odd user@q.test', 'quote@q.test', 'quote+a b@q.test'],
        content: ['', 'x'],
      }),
      'sender maps': message({
        sender: 'al@s.test',
        content: ['Sender: al@s.test', 'Reply-To: u@a.lab.test', '', 'x'],
      }),
      'masqueraded sender': message({ sender: 'u@b.lab.test', content: ['', 'x'] }),
      'recipients in the extracted part': message({
        recipients: [],
        extracted: [['R', 'bob@ok.test']],
        content: ['To: bob@ok.test', '', 'x'],
      }),
    },
  },
  {
    title: 'classes, contexts and switches',
    main: {
      canonical_maps: 'inline:{a@x=b@x}',
      canonical_classes: 'envelope_recipient, header_sender',
      masquerade_domains: 'lab.test',
      masquerade_classes: 'envelope_recipient, header_recipient',
      remote_header_rewrite_domain: 'domain.invalid',
      always_add_missing_headers: 'yes',
      undisclosed_recipients_header: 'To: undisclosed-recipients:;',
      enable_original_recipient: 'no',
      message_drop_headers: 'x-secret, cc, bcc',
      propagate_unmatched_extensions: '',
      recipient_delimiter: '+-',
      virtual_alias_maps: 'inline:{u@x=v@x, own@x=w@x}',
      hopcount_limit: '3',
      header_address_token_limit: '10',
      body_checks_size_limit: '10',
      local_header_rewrite_clients: '',
    },
    cases: {
      'all places': message({
        sender: 'a@x',
        recipients: ['a@x', 'q@h.lab.test', 'u+e@x', 'owner-u@x', 'u-request@x', 'u-e@x'],
        content: ['From: a@x, q@h.lab.test', 'To: a@x, q@h.lab.test', '', 'x'],
      }),
      'mail from outside': message({
        context: 'remote',
        content: ['From: a', 'X-Secret: s', 'Cc: a', '', 'x'],
      }),
      'nobody is named': message({ context: 'remote', content: ['Subject: x', '', 'x'] }),
      'many words in a header': header('To: a b c d e f g h i j k l m n'),
      'many addresses': header('To: a, b, c, d, e, f, g, h, i, j, k'),
      'recipients alike but for their origin': message({
        recipients: ['u@x', 'v@x', 'U+e@x'],
        content: ['', 'x'],
      }),
      'three hops': message({ content: ['Received: 2', 'Received: 3', '', 'x'] }),
      'two hops': message({ content: ['Received: 2', '', 'x'] }),
    },
  },
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
  strict('strict_7bit_headers'),
  strict('strict_8bitmime'),
  strict('strict_8bitmime_body'),
  strict('strict_mime_encoding_domain'),
  strict('disable_mime_input_processing'),
];
