/** Postfix's daemon and ours give the same bytes for the same questions. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { freshDirectory } from '../../support/directories.ts';
import { whyNoPostfix } from '../../support/real-postfix.ts';
import { ADDRESSES } from './addresses.ts';
import { prepare, type Request, startRewriting } from './daemons.ts';

const DOMAINS = {
  mydestination: 'example.com, $myhostname, localhost',
  relay_domains: 'relay.test',
  virtual_alias_domains: 'alias.test',
  virtual_mailbox_domains: 'box.test',
};

/** Settings under which the daemons are compared; `DIR` stands for the test's directory. */
const CONFIGURATIONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  defaults: DOMAINS,
  'nothing set': {},
  'completing names': { ...DOMAINS, append_dot_mydomain: 'yes', myorigin: '$mydomain' },
  'remote headers': {
    ...DOMAINS,
    append_dot_mydomain: 'yes',
    remote_header_rewrite_domain: 'domain.invalid',
  },
  'no routing characters': { ...DOMAINS, swap_bangpath: 'no', allow_percent_hack: 'no' },
  'nothing appended': { ...DOMAINS, append_at_myorigin: 'no' },
  'lenient resolving': {
    ...DOMAINS,
    resolve_null_domain: 'yes',
    resolve_numeric_domain: 'yes',
    allow_min_user: 'yes',
  },
  'quotes respected': { ...DOMAINS, resolve_dequoted_address: 'no' },
  'relayhost and transports': {
    ...DOMAINS,
    relayhost: '[gateway.test]:587',
    local_transport: 'lmtp:unix:/x',
    virtual_transport: 'dovecot',
    relay_transport: 'relay:[inside.test]',
    default_transport: 'smtp-out',
    recipient_delimiter: '+-',
    empty_address_recipient: 'postmaster',
  },
  'transport maps': {
    ...DOMAINS,
    transport_maps: 'texthash:DIR/transport',
    recipient_delimiter: '+',
    relayhost: 'gateway.test',
  },
  'transport maps that match parents': {
    ...DOMAINS,
    parent_domain_matches_subdomains: 'transport_maps',
    transport_maps: 'texthash:DIR/transport',
  },
  'transport maps of patterns': { ...DOMAINS, transport_maps: 'regexp:DIR/transport.regexp' },
  'transport maps with a wildcard': {
    ...DOMAINS,
    transport_maps: 'inline:{ *=smtp:[all.test], example.com=: }',
  },
  'sender-dependent routes': {
    ...DOMAINS,
    recipient_delimiter: '+',
    relayhost: 'gateway.test',
    sender_dependent_relayhost_maps: 'texthash:DIR/relayhosts',
    sender_dependent_default_transport_maps: 'texthash:DIR/transports',
  },
  relocated: {
    ...DOMAINS,
    relocated_maps: 'texthash:DIR/relocated',
    recipient_delimiter: '+',
    show_user_unknown_table_name: 'no',
  },
  'address probes': {
    ...DOMAINS,
    address_verify_relayhost: 'probe.test',
    address_verify_local_transport: 'probe-local:somewhere',
    address_verify_virtual_transport: 'probe-virtual',
    address_verify_relay_transport: 'probe-relay',
    address_verify_default_transport: 'probe-default',
    address_verify_transport_maps: 'inline:{ remote.test=probe-map: }',
    transport_maps: 'inline:{ remote.test=map: }',
  },
  'tables in trouble': {
    ...DOMAINS,
    transport_maps: 'inline:{ remote.test=map: }, fail:transport',
    sender_dependent_relayhost_maps: 'inline:{ ann@example.com=r }, fail:relayhost',
  },
  'lists in trouble': { ...DOMAINS, relay_domains: 'relay.test, fail:relay' },
  'destinations in trouble': { ...DOMAINS, mydestination: 'example.com, fail:destination' },
  'alias domains in trouble': { ...DOMAINS, virtual_alias_domains: 'alias.test, fail:alias' },
  'relocated in trouble': { ...DOMAINS, relocated_maps: 'fail:relocated' },
  'null transport': { ...DOMAINS, default_transport: ':nexthop', relay_transport: 'x:' },
  'no UTF-8': { ...DOMAINS, smtputf8_enable: 'no' },
  'domains in tables': {
    mydestination: 'inline:{ example.com=x, localhost=y }, !other.test, regexp:DIR/domains.regexp',
    relay_domains: 'inline:{ relay.test=x, remote.test=x }',
    virtual_alias_maps: 'inline:{ alias.test=anything }',
    virtual_mailbox_domains: 'inline:{ box.test=x }',
    proxy_interfaces: '1.2.3.4',
  },
  'names and domains in files': {
    myorigin: 'DIR/mailname',
    append_dot_mydomain: 'yes',
    mydestination: '$myorigin, !DIR/not-here, DIR/domains',
    relay_domains: 'DIR/relays',
    virtual_alias_domains: '!box.test, DIR/aliases',
  },
  'domains listed twice': {
    mydestination: 'example.com, alias.test, box.test',
    virtual_alias_domains: 'alias.test, relay.test',
    virtual_mailbox_domains: 'box.test, relay.test, remote.test',
    relay_domains: 'relay.test, remote.test',
  },
};

const FILES: Readonly<Record<string, string>> = {
  transport: [
    'joe@remote.test user:',
    'ann@remote.test :next',
    'moved@remote.test :',
    'mailed@remote.test other',
    'joe+ext@remote.test extended:x',
    'joe@example.com error:5.1.1 no joe here',
    'ann@example.com error:',
    'moved@example.com retry:',
    'mailed@example.com smtp:[host]:25',
    'example.com local-override:',
    '.relay.test deep:',
    'relay.test :[relay-host]',
    'alias.test never:',
    '.test dot-test:x',
    'box.test   spaces:a b',
    '"a b"@remote.test quoted:',
    'localhost ::',
    'mailer-daemon@mail.example.com null:',
    '* star:',
  ].join('\n'),
  'transport.regexp': [
    '/^joe@/ re-joe:',
    '/^ann@(.*)$/ re-ann:$1',
    '/^example\\.com$/ never:',
    '/^\\*$/ star:x',
  ].join('\n'),
  relayhosts: [
    'ann@example.com [ann-relay.test]',
    '@remote.test remote-relay',
    'bob DUNNO',
    'joe@example.com dunno',
    '<> null-relay',
    'box.test never',
  ].join('\n'),
  transports: [
    'ann@example.com annsmtp',
    'bob@example.com bobsmtp:hop',
    '@remote.test :hop',
    'joe@example.com dunno',
    '<> nullsmtp',
  ].join('\n'),
  relocated: [
    'moved@example.com new@place',
    'moved newer@place',
    '@box.test all of them',
    'moved@alias.test elsewhere',
    'joe+ext@remote.test ext',
    'joe@remote.test noext',
  ].join('\n'),
  mailname: ' example.com \nsecond.test\n',
  domains: '# ours\nlocalhost,\n  mail.example.com\nalias.test\n',
  'not-here': 'alias.test\n',
  relays: 'DIR/more relay.test\n',
  more: 'remote.test\n',
  aliases: 'alias.test box.test\n',
  'domains.regexp': '/^local/ x\n/@/ never\n',
};

const SENDERS = ['', 'ann@example.com', 'bob@example.com', 'bob+x@mail.example.com'];
const MORE_SENDERS = [...SENDERS, 'joe@example.com', 'x@remote.test', 'bob'];

function requests(name: string): Request[] {
  const senders = name.includes('sender') || name.includes('trouble') ? MORE_SENDERS : [''];
  return ADDRESSES.flatMap((address): Request[] => [
    ['rewrite', 'local', address],
    ['rewrite', 'remote', address],
    ...senders.map((sender): Request => ['resolve', sender, address]),
    ['verify', '', address],
  ]);
}

const skip = whyNoPostfix();

for (const [name, main] of Object.entries(CONFIGURATIONS)) {
  test(`rewrite and resolve as Postfix does: ${name}`, { skip }, async (t) => {
    const directory = freshDirectory(t);
    for (const [file, text] of Object.entries(FILES)) {
      writeFileSync(join(directory, file), text.replaceAll('DIR', directory));
    }
    const settings = Object.entries(main).map(([key, value]) => [
      key,
      value.replaceAll('DIR', directory),
    ]);
    prepare(directory, Object.fromEntries(settings));
    const ours = startRewriting(t, directory, 'ours');
    const postfix = startRewriting(t, directory, 'postfix');
    const different: string[] = [];
    for (const request of requests(name)) {
      const [mine, theirs] = await Promise.all([ours.ask(request), postfix.ask(request)]);
      if (mine !== theirs || theirs === undefined) {
        different.push(`${JSON.stringify(request)}\n  ours    ${mine}\n  postfix ${theirs}`);
      }
    }
    assert.equal(different.join('\n'), '');
  });
}
