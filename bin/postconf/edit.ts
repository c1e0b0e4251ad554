/** `postconf -e`, `-X` and `-#`, of main.cf and master.cf. */
import { editFile } from './edit-file.ts';
import { editMain, parseMainEdit } from './edit-main.ts';
import { editMaster, parseMasterEdit } from './edit-master.ts';
import type { Request } from './request.ts';

/** Changes the file; silent when it went well. @throws {Error} with Postfix's text */
export function runEdit(request: Request, directory: string, warn: (text: string) => void): void {
  const { mode, action } = request;
  if (action === 'show') return;
  // Files are edited as bytes, whatever their encoding.
  const operands = request.operands.map((word) => Buffer.from(word).toString('latin1'));
  if (mode === 'M' || mode === 'F' || mode === 'P') {
    const file = `${directory}/master.cf`;
    const edits = operands.map((operand) => parseMasterEdit(mode, action, operand));
    editFile(file, (text) => editMaster(text, edits, file, warn));
    return;
  }
  const file = `${directory}/main.cf`;
  const edit = parseMainEdit(action, operands, warn);
  const repeated = (name: string) => warn(`${file}: multiple entries for "${name}"`);
  editFile(file, (text) => editMain(text, edit, repeated));
}
