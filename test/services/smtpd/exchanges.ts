/**
 * What clients say to an SMTP server, by the server's settings. differential.test.ts has Postfix's
 * smtpd and ours answer, so there are no expected replies here.
 */
import { CHUNK_SETTINGS } from './chunk-exchanges.ts';
import { COMMAND_SESSIONS, STRICT_SETTINGS } from './command-exchanges.ts';
import type { Settings } from './compare.ts';
import { CONTENT_SESSIONS } from './content-exchanges.ts';
import { ENVELOPE_SESSIONS } from './envelope-exchanges.ts';
import { FEATURE_SETTINGS } from './feature-exchanges.ts';
import { FRAMING_SESSIONS, FRAMING_SETTINGS } from './framing-exchanges.ts';
import { LIMIT_SETTINGS } from './limit-exchanges.ts';
import { RELAY_SETTINGS } from './relay-exchanges.ts';
import { RESTRICTION_SETTINGS } from './restriction-exchanges.ts';
import { XCLIENT_SETTINGS } from './xclient-exchanges.ts';

export const SETTINGS: Settings = {
  default: {
    main: {},
    sessions: {
      ...CONTENT_SESSIONS,
      ...COMMAND_SESSIONS,
      ...ENVELOPE_SESSIONS,
      ...FRAMING_SESSIONS,
    },
  },
  ...STRICT_SETTINGS,
  ...RESTRICTION_SETTINGS,
  ...RELAY_SETTINGS,
  ...LIMIT_SETTINGS,
  ...FRAMING_SETTINGS,
  ...FEATURE_SETTINGS,
  ...CHUNK_SETTINGS,
  ...XCLIENT_SETTINGS,
};
