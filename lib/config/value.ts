/** From a parameter's expanded text to its value. */
import type { Bounds, Kind, Parameter } from './kind.ts';

const UNIT_SECONDS: Readonly<Record<string, number>> = {
  s: 1,
  m: 60,
  h: 3600,
  d: 86_400,
  w: 604_800,
};

/** The largest whole number Postfix reads. */
const NUMBER_MAX = 2 ** 31 - 1;

/** The value does not fit; `message` is Postfix's text. */
export class ValueError extends Error {}

/**
 * The typed value of `text`.
 *
 * @param unit the unit of a time that has none: that of the default
 * @throws {ValueError}
 */
export function parseValue(
  name: string,
  parameter: Parameter,
  text: string,
  unit: string,
): string | number | boolean {
  switch (parameter.kind) {
    case 'bool':
      return parseBool(name, text);
    case 'int':
    case 'code':
    case 'size':
      return parseNumber(name, text, parameter.kind, parameter.bounds);
    case 'seconds':
      return parseSeconds(name, text, unit, parameter.bounds);
    default:
      return checkText(name, text, parameter.bounds);
  }
}

function parseBool(name: string, text: string): boolean {
  const word = text.toLowerCase();
  if (word === 'yes') return true;
  if (word === 'no') return false;
  throw new ValueError(`bad boolean configuration: ${name} = ${text}`);
}

function parseNumber(name: string, text: string, kind: Kind, { min, max }: Bounds): number {
  const value = /^[-+]?\d{1,18}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value) || (kind !== 'size' && Math.abs(value) > NUMBER_MAX)) {
    throw new ValueError(`bad numerical configuration: ${name} = ${text}`);
  }
  if (min !== undefined && value < min) {
    throw new ValueError(`invalid ${name} parameter value ${value} < ${min}`);
  }
  if (max !== undefined && value > max) {
    throw new ValueError(`invalid ${name} parameter value ${value} > ${max}`);
  }
  return value;
}

function parseSeconds(name: string, text: string, unit: string, { min, max }: Bounds): number {
  const found = /^(\d{1,10})([smhdw]?)$/.exec(text);
  const value = Number(found?.[1]) * (UNIT_SECONDS[found?.[2] || unit] ?? 1);
  if (found === null || value > NUMBER_MAX) {
    throw new ValueError(`parameter ${name}: bad time value or unit: ${text}`);
  }
  if (min !== undefined && value < min) {
    throw new ValueError(`invalid ${name}: ${value} (min ${min})`);
  }
  if (max !== undefined && value > max) {
    throw new ValueError(`invalid ${name}: ${value} (max ${max})`);
  }
  return value;
}

function checkText(name: string, text: string, { min, max, words }: Bounds): string {
  if (min !== undefined && text.length < min) {
    throw new ValueError(`bad string length ${text.length} < ${min}: ${name} = ${text}`);
  }
  if (max !== undefined && text.length > max) {
    throw new ValueError(`bad string length ${text.length} > ${max}: ${name} = ${text}`);
  }
  if (words?.includes(text.toLowerCase()) === false) {
    const known = words.join(' or ');
    throw new ValueError(`invalid parameter setting "${name} = ${text}", it should be ${known}`);
  }
  return text;
}
