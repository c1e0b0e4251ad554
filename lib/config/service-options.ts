/**
 * A service that main.cf names, with options that only it has: `inet:host:port`, or a list in
 * braces, `{ inet:host:port, timeout=10s, default_action=accept }`. Pure.
 */
import { FatalError } from '../log/fatal.ts';
import { splitList } from './list.ts';
import { PARAMETERS, type ParameterName, type ValueOf } from './parameters.ts';
import { parseValue, ValueError } from './value.ts';

/** What may follow the name, and the parameter it stands for. Times of theirs are in seconds. */
type Options = Readonly<Record<string, ParameterName>>;

/** How complaints begin. */
interface Complaints {
  readonly braces: string;
  readonly equals: string;
  readonly unknown: string;
}

export interface ServiceOptions<O extends Options> {
  /** `undefined` when there is nothing between the braces. */
  readonly name: string | undefined;
  /** The value of an option, or of its parameter. */
  value<N extends keyof O>(option: N): ValueOf<O[N]>;
}

/** @throws {FatalError} when it makes no sense */
export function parseServiceOptions<O extends Options>(
  text: string,
  options: O,
  parameters: { readonly [Name in O[keyof O]]: ValueOf<Name> },
  complaints: Complaints,
): ServiceOptions<O> {
  const [name, ...given] = text.startsWith('{')
    ? splitList(withoutBraces(text, complaints))
    : [text];
  const values = new Map(given.map((option) => parseOption(option, options, complaints)));
  return {
    name,
    value: (option) =>
      (values.get(String(option)) ?? parameters[options[option] as O[keyof O]]) as ValueOf<
        O[typeof option]
      >,
  };
}

function withoutBraces(text: string, { braces }: Complaints): string {
  if (!text.startsWith('{')) return text;
  if (text.endsWith('}')) return text.slice(1, -1).trim();
  throw new FatalError(`${braces}missing '}' in "${text}"`);
}

function parseOption(
  text: string,
  options: Options,
  complaints: Complaints,
): [option: string, value: string | number | boolean] {
  const inside = withoutBraces(text, complaints);
  const [, option, value = ''] = /^(\w+)\s*=\s*(.*)$/s.exec(inside) ?? [];
  if (option === undefined) {
    throw new FatalError(`${complaints.equals}missing '=' after attribute name: "...${text}..."`);
  }
  const parameter = Object.hasOwn(options, option) ? options[option] : undefined;
  if (parameter === undefined) {
    throw new FatalError(`${complaints.unknown}unknown option: "${option} = ${value}"`);
  }
  try {
    return [option, parseValue(option, PARAMETERS[parameter], value, 's')];
  } catch (error) {
    if (!(error instanceof ValueError)) throw error;
    throw new FatalError(error.message.replace(/^parameter /, ''));
  }
}
