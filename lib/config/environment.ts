/** import_environment and export_environment: what passes from one environment into another. */
import { FatalError } from '../log/fatal.ts';
import { splitList } from './list.ts';
import { normalizeAssignment, withoutBraces } from './master-cf.ts';

/** A variable to take over as it is, or to give a value. */
interface Variable {
  readonly name: string;
  readonly value: string | undefined;
}

/** `TZ`, `NAME=value`, `{ NAME = value with blanks }`. @throws {FatalError} with Postfix's text */
function parseVariables(parameter: string, text: string): Variable[] {
  return splitList(text).map((item) => {
    const { text: inside, trouble } = withoutBraces(item);
    if (trouble !== undefined) throw new FatalError(`${parameter}: ${trouble}`);
    const assignment = normalizeAssignment(inside);
    const equals = assignment.indexOf('=');
    if (equals < 0) return { name: assignment, value: undefined };
    if (equals === 0) {
      throw new FatalError(`invalid name=value: missing attribute name: "${inside}"`);
    }
    return { name: assignment.slice(0, equals), value: assignment.slice(equals + 1) };
  });
}

/**
 * The environment that a parameter makes of another: what it names and what it sets, no more.
 *
 * @throws {FatalError} when its braces make no sense
 */
export function environmentBy(
  parameter: 'import_environment' | 'export_environment',
  text: string,
  from: NodeJS.ProcessEnv,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const { name, value = from[name] } of parseVariables(parameter, text)) {
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** What import_environment sets, it sets for commands, too: their own TZ, for one. */
export function importEnvironment(configuration: { text(name: string): string }): void {
  const parameter = 'import_environment';
  Object.assign(process.env, environmentBy(parameter, configuration.text(parameter), process.env));
}
