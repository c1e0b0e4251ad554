/** Lists: items separated by commas and white space. */

/** The items of a list; `{ ... }` protects the separators inside it and stays part of the item. */
export function splitList(text: string): string[] {
  const items: string[] = [];
  let item = '';
  let depth = 0;
  for (const character of text) {
    if (character === '{') depth += 1;
    else if (character === '}' && depth > 0) depth -= 1;
    if (depth === 0 && (character === ',' || /\s/.test(character))) {
      if (item !== '') items.push(item);
      item = '';
    } else {
      item += character;
    }
  }
  if (item !== '') items.push(item);
  return items;
}
