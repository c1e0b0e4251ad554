/** .forward files: what a user does with their own mail. */
import { splitList } from '../../lib/config/configuration.ts';
import type { User } from '../../lib/os/identity.ts';
import { type Branch, branchMacros } from './branch.ts';
import { expandMacros } from './macros.ts';
import type { Parameters } from './settings.ts';

/** One path of forward_path. */
export interface ForwardPath {
  readonly path: string;
  /** The file's name has the address's extension in it: it is used up. */
  readonly usesExtension: boolean;
}

type PathParameters = Pick<
  Parameters,
  'forward_path' | 'forward_expansion_filter' | 'recipient_delimiter'
>;

/**
 * Where to look for a .forward file, in order. Pure.
 *
 * @throws {MacroError} when forward_path is malformed
 */
export function forwardPaths(
  parameters: PathParameters,
  branch: Branch,
  user: User,
): ForwardPath[] {
  const { forward_path, forward_expansion_filter, recipient_delimiter } = parameters;
  const lookup = branchMacros(branch, user, recipient_delimiter);
  const paths: ForwardPath[] = [];
  for (const text of splitList(forward_path)) {
    const {
      text: path,
      undefinedName,
      used,
    } = expandMacros(text, lookup, forward_expansion_filter);
    const usesExtension = used.has('extension') || used.has('local') || used.has('recipient');
    if (!undefinedName && path.startsWith('/')) paths.push({ path, usesExtension });
  }
  return paths;
}
