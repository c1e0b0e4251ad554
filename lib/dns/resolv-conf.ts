/** resolv.conf(5): whom to ask, and how patiently. */
export interface ResolvConf {
  readonly nameservers: readonly Nameserver[];
  readonly timeoutMs: number;
  readonly attempts: number;
}

export interface Nameserver {
  readonly address: string;
  readonly port: number;
}

const NAMESERVERS_MAX = 3;
const TIMEOUT_SECONDS = 5;
const TIMEOUT_SECONDS_MAX = 30;
const ATTEMPTS = 2;
const ATTEMPTS_MAX = 5;
const DNS_PORT = 53;

/** Without a nameserver the one on this machine is asked. */
export function parseResolvConf(text: string): ResolvConf {
  const nameservers: Nameserver[] = [];
  let timeoutSeconds = TIMEOUT_SECONDS;
  let attempts = ATTEMPTS;
  for (const line of text.split('\n')) {
    const [keyword = '', ...words] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && words[0] !== undefined) {
      if (nameservers.length < NAMESERVERS_MAX) nameservers.push(parseNameserver(words[0]));
    } else if (keyword === 'options') {
      for (const word of words) {
        const [, name, value] = /^(timeout|attempts):(\d+)$/.exec(word) ?? [];
        if (name === 'timeout') timeoutSeconds = clamp(Number(value), TIMEOUT_SECONDS_MAX);
        if (name === 'attempts') attempts = clamp(Number(value), ATTEMPTS_MAX);
      }
    }
  }
  if (nameservers.length === 0) nameservers.push({ address: '127.0.0.1', port: DNS_PORT });
  return { nameservers, timeoutMs: timeoutSeconds * 1000, attempts };
}

/** `192.0.2.1`, `192.0.2.1:5353`, `::1`, `[::1]:5353`. */
export function parseNameserver(text: string): Nameserver {
  const [, bracketed, plain, port] = /^(?:\[(.*)\]|([^:]*))(?::(\d+))?$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? text;
  return { address, port: port === undefined ? DNS_PORT : Number(port) };
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, 1), most);
}
