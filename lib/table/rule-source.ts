/** Where the rules of a pattern table come from: a file, or braces in its name. */
import { isBraced, splitItems, withoutBraces } from './braces.ts';
import { type TableContext, TableOpenError } from './definition.ts';
import { usesUtf8 } from './fold.ts';
import { openWatched, readSource, type WatchedFile } from './source-file.ts';
import { printableBytes, type SourceLine, sourceLines, trimEnd } from './source-lines.ts';

export interface RuleSource {
  readonly lines: readonly SourceLine[];
  readonly file?: WatchedFile;
}

/** Opens `type:/file` or `type:{{rule}, {rule}}`. @throws {TableOpenError} */
export function openRules(type: string, name: string, context: TableContext): RuleSource {
  if (name.startsWith('{')) return { lines: inlineRules(type, name) };
  const file = openWatched(name, 'open');
  try {
    return { lines: [...readable(file, context)], file };
  } catch (error) {
    file.close();
    throw error;
  }
}

function* readable(file: WatchedFile, context: TableContext): Generator<SourceLine> {
  const utf8 = usesUtf8(context);
  for (const line of sourceLines(readSource(file))) {
    if (line.utf8 || !utf8) yield { ...line, text: trimEnd(line.text) };
    else {
      context.log?.warn(
        `${file.path}, line ${line.line}: non-UTF-8 input "${printableBytes(line.text)}" -- ignoring this line`,
      );
    }
  }
}

function inlineRules(type: string, name: string): SourceLine[] {
  if (!isBraced(name)) throw new TableOpenError(`${type} map: missing '}' in "${name}"`);
  return splitItems(name.slice(1, -1)).map((item, index) => {
    if (!item.startsWith('{')) {
      throw new TableOpenError(`${type} map: no '{' at start of text in "${item}"`);
    }
    return { text: withoutBraces(item), line: index + 1, utf8: true };
  });
}
