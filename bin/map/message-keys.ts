/** The keys of `postmap -bhmq -`: the input is a message, as header_checks and body_checks see it. */
import type { Configuration } from '../../lib/config/configuration.ts';
import { MimeParser } from '../../lib/message/mime.ts';
import type { ParsedOptions } from '../options/options.ts';

/** @returns undefined when the keys are plain lines: neither -b nor -h was given */
export function messageKeys(
  options: ParsedOptions,
  bytes: Buffer,
  configuration: Configuration,
): string[] | undefined {
  const headers = options.has('h');
  const body = options.has('b');
  if (!headers && !body) return undefined;
  const parser = new MimeParser({
    disabled: !options.has('m'),
    nestingLimit: configuration.get('mime_nesting_limit'),
    boundaryLimit: configuration.get('mime_boundary_length_limit'),
    headerLimit: configuration.get('header_size_limit'),
    report: { nesting: false, eightBitHeader: false, eightBitBody: false, encodingDomain: false },
  });
  const text = bytes.toString('latin1');
  const lines = (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n');
  const events = [...lines.flatMap((line) => parser.line(line, false)), ...parser.end()];
  return events.flatMap((event) => {
    if (event.kind !== 'header' && event.kind !== 'body') return [];
    const wanted = event.kind === 'header' ? headers : body;
    // The parser's text has one character for each byte.
    return wanted ? [Buffer.from(event.text, 'latin1').toString()] : [];
  });
}
