/** Maps: aliases, canonical addresses, copies, and what decides where they count. */
import { type CaseGroup, header } from './case-group.ts';
import { message } from './submission.ts';

export const MAP_CASES: readonly CaseGroup[] = [
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
];
