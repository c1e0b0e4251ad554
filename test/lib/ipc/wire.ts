/** Bytes as ipc.md writes them: `␀` is NUL, `␤` a newline. */
export function wire(text: string): Buffer {
  return Buffer.from(text.replaceAll('␀', '\0').replaceAll('␤', '\n'));
}
