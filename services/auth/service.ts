/**
 * auth(8): checks the passwords of those who log in, for who may not read them.
 *
 * Called by smtpd, ours (`smtpd_sasl_type = posthaste`) or Postfix's (`dovecot`), in Dovecot's
 * protocol. Runs as root: it reads /etc/shadow and password files, asks PAM, and does
 * nothing else. It answers yes
 * or no, and tells nobody a password. Postfix has no such daemon; Dovecot's does the same, and more.
 */
import type { Socket } from 'node:net';
import { splitList } from '../../lib/config/configuration.ts';
import { FatalError } from '../../lib/log/fatal.ts';
import type { Log } from '../../lib/log/log.ts';
import { SaslTrouble } from '../../lib/sasl/exchange.ts';
import { LOGIN, type Mechanism, PLAIN } from '../../lib/sasl/mechanism.ts';
import type { ConnectionService } from '../../lib/server/connection-server.ts';
import type { ServiceContext } from '../../lib/server/service.ts';
import { AuthClient } from './client.ts';
import { FileSource } from './file-source.ts';
import { PAM_THREADS, pamSource } from './pam-source.ts';
import type { Source } from './source.ts';
import { systemSource } from './system-source.ts';
import { Users } from './users.ts';

const PARAMETERS = [
  'auth_failure_delay',
  'auth_minimum_uid',
  'auth_sources',
  'myhostname',
] as const;
type Name = (typeof PARAMETERS)[number];

interface State {
  readonly users: Users;
  clients: number;
}

/** The file of /etc/pam.d that SMTP servers go by. */
const PAM_SERVICE = 'smtp';

/** There is nothing to tell a client but that it was wrong. */
const REASONS = { credentials: '', identity: '', malformed: '' };

export const auth: ConnectionService<Name, State> = {
  name: 'auth',
  parameters: PARAMETERS,
  privileged: true,
  requires: 'unlimited',
  ioThreads: 2 * PAM_THREADS,
  open: ({ parameters, log }) => ({ users: new Users(openSources(parameters, log)), clients: 0 }),
  serve(socket: Socket, context, state) {
    state.clients += 1;
    const { parameters, log, stopping } = context;
    const client = new AuthClient(socket, {
      accounts: state.users,
      mechanisms: mechanismsOf(state.users),
      hostname: parameters.myhostname,
      reasons: REASONS,
      number: state.clients,
      failureDelayMs: parameters.auth_failure_delay * 1000,
      stopping,
      onFailed: (mechanism, address, step) => {
        if (step.kind === 'trouble') log.warn(`${address}: SASL ${mechanism}: ${step.reason}`);
      },
    });
    return client.run();
  },
};

function openSources(parameters: ServiceContext<Name>['parameters'], log: Log): Source[] {
  const words = splitList(parameters.auth_sources);
  if (words.length === 0)
    throw new FatalError('auth_sources is empty: specify system, pam, or a file');
  return words.map((word) => {
    if (word === 'system') return systemSource(parameters.auth_minimum_uid);
    if (word === 'pam') return pamSource(PAM_SERVICE, parameters.auth_minimum_uid);
    if (/^pam:[\w.-]+$/.test(word)) return pamSource(word.slice(4), parameters.auth_minimum_uid);
    if (word.startsWith('/')) return new FileSource(word, log);
    throw new FatalError(
      `auth_sources: "${word}": specify system, pam, pam:service, or the path of a file`,
    );
  });
}

/** While users can't be read, those are offered that need no more than asking them. */
function mechanismsOf(users: Users): readonly Mechanism[] {
  try {
    return users.mechanisms();
  } catch (error) {
    if (error instanceof SaslTrouble) return [PLAIN, LOGIN];
    throw error;
  }
}
