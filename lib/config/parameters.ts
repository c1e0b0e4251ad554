/** Every parameter there is: Postfix 3.7.11's, and the few of ours. */
import type { Parameter } from './kind.ts';
import { bounceParameters } from './parameters/bounce.ts';
import { cleanupParameters } from './parameters/cleanup.ts';
import { commandsParameters } from './parameters/commands.ts';
import { generalParameters } from './parameters/general.ts';
import { lmtpParameters } from './parameters/lmtp.ts';
import { localParameters } from './parameters/local.ts';
import { logParameters } from './parameters/log.ts';
import { milterParameters } from './parameters/milter.ts';
import { multiInstanceParameters } from './parameters/multi-instance.ts';
import { otherServicesParameters } from './parameters/other-services.ts';
import { posthasteParameters } from './parameters/posthaste.ts';
import { postscreenParameters } from './parameters/postscreen.ts';
import { processesParameters } from './parameters/processes.ts';
import { qmgrParameters } from './parameters/qmgr.ts';
import { serviceNamesParameters } from './parameters/service-names.ts';
import { smtpParameters } from './parameters/smtp.ts';
import { smtpdParameters } from './parameters/smtpd.ts';
import { tablesParameters } from './parameters/tables.ts';
import { tlsParameters } from './parameters/tls.ts';
import { tlsproxyParameters } from './parameters/tlsproxy.ts';
import { trivialRewriteParameters } from './parameters/trivial-rewrite.ts';
import { verifyParameters } from './parameters/verify.ts';
import { virtualParameters } from './parameters/virtual.ts';

export const PARAMETERS = {
  ...bounceParameters,
  ...cleanupParameters,
  ...commandsParameters,
  ...generalParameters,
  ...lmtpParameters,
  ...localParameters,
  ...logParameters,
  ...milterParameters,
  ...multiInstanceParameters,
  ...otherServicesParameters,
  ...posthasteParameters,
  ...postscreenParameters,
  ...processesParameters,
  ...qmgrParameters,
  ...serviceNamesParameters,
  ...smtpParameters,
  ...smtpdParameters,
  ...tablesParameters,
  ...tlsParameters,
  ...tlsproxyParameters,
  ...trivialRewriteParameters,
  ...verifyParameters,
  ...virtualParameters,
};

export type ParameterName = keyof typeof PARAMETERS;

/** What `get` returns: a boolean, a number (seconds, bytes) or text. */
export type ValueOf<Name extends ParameterName> =
  (typeof PARAMETERS)[Name] extends Parameter<infer Value> ? Value : never;

export function isParameterName(name: string): name is ParameterName {
  return Object.hasOwn(PARAMETERS, name);
}
