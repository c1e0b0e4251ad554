/** `myorigin = /etc/mailname`: Debian keeps the name that mail carries in a file. */
import { readFileSync } from 'node:fs';
import { openErrorText } from './source.ts';
import { ValueError } from './value.ts';

/** The domain that myorigin stands for. @throws {ValueError} with Postfix's text */
export function originOf(value: string): string {
  const name = value.startsWith('/') ? firstLineOf(value) : value;
  if (!/[\s,]/.test(name)) return name;
  throw new ValueError(`myorigin parameter setting must not contain multiple values: ${name}`);
}

function firstLineOf(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    throw new ValueError(`${file}: cannot open file: ${openErrorText(cause)}`);
  }
  const [line = ''] = text.split('\n', 1);
  if (line.trim() === '') throw new ValueError(`myorigin file ${file} is empty`);
  return line.trim();
}
