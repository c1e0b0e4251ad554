/**
 * XCLIENT and XFORWARD: a proxy or a filter in front of us tells of the client behind it. With XCLIENT
 * it speaks for that client, and the session begins anew; with XFORWARD it only says what the log of
 * the next message shall name.
 */

import type { Answer } from './answer.ts';
import { type ClientCommand, parseClientAttributes } from './client-attributes.ts';
import { available, type NameStatus, UNKNOWN } from './client-name.ts';
import type { Session } from './session.ts';
import { type Forwarded, labelOf } from './transaction.ts';
import type { Word } from './words.ts';

export function xclient(session: Session, words: readonly Word[]): Answer | Promise<Answer> {
  const told = attributesOf(session, 'XCLIENT', words, session.client.mayXclient);
  if ('refusal' in told) return { reply: told.refusal };
  const { NAME: name, HELO: helo, LOGIN: login, PROTO: protocol } = told;
  const { client } = session;
  const isNamed = name !== undefined && name !== UNKNOWN;
  const statusOf = (attribute: string, value: string): NameStatus => {
    if (value !== UNKNOWN) return 'found';
    return told.again.includes(attribute) ? 'again' : 'missing';
  };
  const reverse = told.REVERSE_NAME;
  const username = available(login);
  const known = {
    name: name ?? client.name,
    address: told.ADDR ?? client.address,
    port: told.PORT ?? client.port,
  };
  const changed = {
    ...client,
    ...known,
    label: labelOf(known, session.smtpd.parameters.smtpd_client_port_logging),
    nameStatus: name === undefined ? client.nameStatus : statusOf('NAME', name),
    reverseName: reverse ?? (isNamed ? name : client.reverseName),
    reverseStatus:
      reverse === undefined
        ? isNamed
          ? 'found'
          : client.reverseStatus
        : statusOf('REVERSE_NAME', reverse),
    serverAddress: told.DESTADDR ?? client.serverAddress,
    serverPort: told.DESTPORT ?? client.serverPort,
    login: username === undefined ? undefined : { method: 'XCLIENT', username },
  };
  return session.restart(changed, {
    helo: available(helo),
    protocol: protocol === 'ESMTP' ? 'ESMTP' : 'SMTP',
  });
}

export function xforward(session: Session, words: readonly Word[]): Answer {
  const told = attributesOf(session, 'XFORWARD', words, session.client.mayXforward === true);
  if ('refusal' in told) return { reply: told.refusal };
  const { NAME: name, ADDR: address, PORT: port, PROTO: protocol, HELO: helo } = told;
  const before = session.forwarded ?? {};
  const ofClient = defined({ name, address, port, protocol, helo });
  const isOfClient = Object.keys(ofClient).length > 0;
  session.forwarded = {
    client: isOfClient ? { ...NOBODY, ...before.client, ...ofClient } : before.client,
    ident: told.IDENT === undefined ? before.ident : available(told.IDENT),
    rewriteContext:
      told.SOURCE === undefined ? before.rewriteContext : (available(told.SOURCE) ?? 'local'),
  };
  return { reply: '250 2.0.0 Ok' };
}

/** Of a client that is forwarded, all that is not told is unknown: it is not our client. */
const NOBODY: NonNullable<Forwarded['client']> = {
  name: UNKNOWN,
  address: UNKNOWN,
  port: UNKNOWN,
  protocol: UNKNOWN,
  helo: UNKNOWN,
};

function attributesOf(
  session: Session,
  command: ClientCommand,
  words: readonly Word[],
  isAuthorized: boolean,
): ReturnType<typeof parseClientAttributes> {
  if (session.transaction) return { refusal: '503 5.5.1 Error: MAIL transaction in progress' };
  if (words.length < 2) return { refusal: `501 5.5.4 Syntax: ${command} attribute=value...` };
  if (!isAuthorized) return { refusal: '550 5.7.0 Error: insufficient authorization' };
  const texts = words.slice(1).map(({ text }) => text);
  return parseClientAttributes(command, texts, session.smtpd.families);
}

function defined<T extends object>(values: T): { [Key in keyof T]?: NonNullable<T[Key]> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [Key in keyof T]?: NonNullable<T[Key]> };
}
