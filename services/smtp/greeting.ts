/** From the connection to a server that is ready for mail: its greeting, our EHLO, HELO or LHLO. */
import { parseExtensions } from '../../lib/smtp/extensions.ts';
import type { Reply } from '../../lib/smtp/reply.ts';
import { featuresOf, NO_FEATURES } from './features.ts';
import { SessionError, type SmtpSession } from './session.ts';
import type { Settings } from './settings.ts';
import { brokenTrouble, ownTrouble, refusedTrouble, type Stage, type Trouble } from './trouble.ts';

export interface GreetingOptions {
  readonly settings: Settings;
  /** EHLO keywords in lower case that this server is not believed. */
  readonly discarded: ReadonlySet<string>;
  /** We know this port to be our own: meeting our own name there means a loop. */
  readonly detectLoops: boolean;
  readonly nexthop: string;
  /** For a message that has waited so long that an old firewall's faults may be the cause. */
  readonly pixWorkarounds: readonly string[];
  warn(text: string): void;
  info(text: string): void;
}

/** @returns why the server can't be used; `undefined` when it can */
export async function exchangeGreetings(
  session: SmtpSession,
  options: GreetingOptions,
): Promise<Trouble | undefined> {
  const { settings } = options;
  const { peer } = session;
  let stage: Stage = 'receiving the initial server greeting';
  try {
    const greeting = await session.reply(settings.heloMs);
    if (!isPositive(greeting)) {
      session.transcript?.failed(greeting);
      const tryAgain = settings.skip5xxGreeting && greeting.code >= 500;
      return refusedTrouble(peer, greeting, tryAgain);
    }
    const pix = pixFaults(greeting, options);
    if (pix.length > 0) {
      options.info(`enabling PIX workarounds: ${pix.join(' ')} for ${peer.relay}`);
    }
    if (options.detectLoops && hostnameIn(greeting, settings.myhostname)) {
      options.warn(`host ${peer.label} greeted me with my own hostname ${settings.myhostname}`);
    }

    let reply: Reply | undefined;
    let extended = false;
    if (wantsEhlo(greeting, settings) && !pix.includes('disable_esmtp')) {
      stage = settings.lmtp ? 'performing the LHLO handshake' : 'performing the EHLO handshake';
      reply = await session.command(
        `${settings.lmtp ? 'LHLO' : 'EHLO'} ${settings.heloName}`,
        settings.heloMs,
      );
      extended = isPositive(reply);
      if (!extended && (settings.lmtp || reply.code === 421)) {
        session.transcript?.failed(reply);
        return refusedTrouble(peer, reply, false);
      }
    }
    if (!extended) {
      stage = 'performing the HELO handshake';
      reply = await session.command(`HELO ${settings.heloName}`, settings.heloMs);
      if (!isPositive(reply)) {
        session.transcript?.failed(reply);
        return refusedTrouble(peer, reply, false);
      }
    }
    if (reply !== undefined && options.detectLoops && hostnameIn(reply, settings.myhostname)) {
      options.warn(
        `host ${peer.label} replied to HELO/EHLO with my own hostname ${settings.myhostname}`,
      );
      const reason = `mail for ${options.nexthop} loops back to myself`;
      return { ...ownTrouble('5.4.6', reason), loop: true };
    }
    const features =
      extended && reply !== undefined
        ? featuresOf(parseExtensions(reply, options.discarded))
        : NO_FEATURES;
    session.features = { ...features, delayDot: pix.includes('delay_dotcrlf') };
    return undefined;
  } catch (error) {
    if (error instanceof SessionError) return brokenTrouble(peer, error.how, stage);
    throw error;
  }
}

function isPositive({ code }: Reply): boolean {
  return code >= 200 && code < 300;
}

function wantsEhlo(greeting: Reply, settings: Settings): boolean {
  if (settings.lmtp) return true;
  if (settings.neverSendEhlo) return false;
  return settings.alwaysSendEhlo || greeting.lines.some((line) => /(^|\s)ESMTP(\s|$)/i.test(line));
}

/** The first word of a greeting is the server's name. */
function hostnameIn({ lines }: Reply, myhostname: string): boolean {
  return (lines[0] ?? '').trim().split(/\s+/, 1)[0]?.toLowerCase() === myhostname.toLowerCase();
}

/** Cisco PIX "fixup" masks the greeting with stars, and breaks the dialogue in known ways. */
function pixFaults(greeting: Reply, options: GreetingOptions): readonly string[] {
  const masked = /^[02* ]*\*[02* ]*$/.test(greeting.lines[0] ?? '');
  return masked ? options.pixWorkarounds : [];
}
