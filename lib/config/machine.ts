/** What the configuration takes from the machine: its names. */
import { hostname } from 'node:os';

const LAST_RESORT_DOMAIN = 'localdomain';

/** Longest name and longest label: RFC 1035 2.3.4. */
const NAME_MAX = 255;
const LABEL_MAX = 63;

/** The default of myhostname: the machine's name, made complete with mydomain when it is short. */
export function defaultHostname(mydomain: string | undefined): string {
  const name = hostname();
  return name.includes('.') ? name : `${name}.${mydomain || LAST_RESORT_DOMAIN}`;
}

/** The default of mydomain: what follows the first dot of myhostname. */
export function defaultDomain(myhostname: string): string {
  const dot = myhostname.indexOf('.');
  return dot < 0 ? LAST_RESORT_DOMAIN : myhostname.slice(dot + 1);
}

/** Why `name` can't name a host, in Postfix's words; undefined when it can. */
export function hostnameTrouble(name: string): string | undefined {
  if (name === '') return 'valid_hostname: empty hostname';
  if (name.length > NAME_MAX) return `valid_hostname: bad length ${name.length} for ${name}`;
  const odd = /[^A-Za-z0-9._-]/.exec(name);
  if (odd !== null) {
    return `valid_hostname: invalid character ${odd[0].charCodeAt(0)}(decimal): ${name}`;
  }
  if (/^\.|\.\.|\.$/.test(name)) return `valid_hostname: misplaced delimiter: ${name}`;
  if (/^-|-\.|\.-|-$/.test(name)) return `valid_hostname: misplaced hyphen: ${name}`;
  if (/^[0-9.]+$/.test(name)) return `valid_hostname: numeric hostname: ${name}`;
  if (name.split('.').some((label) => label.length > LABEL_MAX)) {
    return `valid_hostname: bad label length: ${name}`;
  }
  return undefined;
}
