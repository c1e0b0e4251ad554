/** smtpd.conf of the Cyrus library: what counts, and what is refused by name. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FatalError } from '../../../lib/log/fatal.ts';
import { parseCyrusConf } from '../../../lib/sasl/cyrus-conf.ts';

const read = (text: string) => parseCyrusConf(text, '/etc/postfix/sasl/smtpd.conf');
const at = (line: number) => `/etc/postfix/sasl/smtpd.conf, line ${line}: `;

/** What tutorials have in it, and what is said of that. */
const WARNED: readonly (readonly [text: string, ...warnings: string[]])[] = [
  [''],
  ['pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n'],
  ['# ours\n\npwcheck_method: saslauthd\nmech_list: plain login\nlog_level: 3\n'],
  [
    'pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256\n',
  ],
  [
    'pwcheck_method: auxprop\nmech_list: PLAIN LOGIN CRAM-MD5 DIGEST-MD5 NTLM\n',
    `${at(2)}mech_list: DIGEST-MD5 is not built in Posthaste: clients are offered the others`,
    `${at(2)}mech_list: NTLM is not built in Posthaste: clients are offered the others`,
  ],
  [
    'pwcheck_method: saslauthd\nmech_list: plain login cram-md5 digest-md5\n',
    `${at(2)}mech_list: CRAM-MD5 is not offered: saslauthd can only check PLAIN and LOGIN`,
    `${at(2)}mech_list: DIGEST-MD5 is not built in Posthaste: clients are offered the others`,
  ],
  [
    'auto_transition: yes\nmech_list: PLAIN\ncanon_user_plugin: ldapdb\n',
    `${at(1)}auto_transition is not honoured by Posthaste`,
    `${at(3)}canon_user_plugin is not honoured by Posthaste`,
  ],
];

for (const [text, ...warnings] of WARNED) {
  test(`${JSON.stringify(text)}: ${warnings.length} warnings`, () => {
    assert.deepEqual(read(text).warnings, warnings);
  });
}

const REFUSED: readonly (readonly [text: string, why: string])[] = [
  [
    'pwcheck_method: auxprop\nmech_list: DIGEST-MD5 NTLM\n',
    `${at(2)}mech_list: none of DIGEST-MD5, NTLM can be had from Posthaste: specify some of SCRAM-SHA-256, CRAM-MD5, PLAIN, LOGIN`,
  ],
  [
    'mech_list: cram-md5\npwcheck_method: saslauthd\n',
    `${at(1)}mech_list: none of CRAM-MD5 can be had from Posthaste: specify some of PLAIN, LOGIN`,
  ],
  [
    'pwcheck_method: authdaemond\n',
    `${at(1)}pwcheck_method: "authdaemond" is not built in Posthaste: specify some of saslauthd, auxprop`,
  ],
  [
    'auxprop_plugin: sql\n',
    `${at(1)}auxprop_plugin: "sql" is not built in Posthaste: specify some of sasldb`,
  ],
  ['pwcheck_method saslauthd\n', `${at(1)}specify "name: value"`],
];

for (const [text, message] of REFUSED) {
  test(`${JSON.stringify(text)} is refused`, () => {
    assert.throws(() => read(text), new FatalError(message));
  });
}
