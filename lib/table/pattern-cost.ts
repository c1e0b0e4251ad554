/** How long libc may be busy with a POSIX expression and a short text. */

/**
 * A back-reference is tried against everything; repetitions in repetitions are written out, as many
 * times as they multiply to, and all of that is walked for each character. Everything else takes
 * milliseconds for an address, whatever stars it has. (libpcre2 counts its steps, and stops.)
 */
export function isCostly(pattern: string): boolean {
  return hasBackReference(pattern) || expandedSize(pattern) > SIZE_MAX;
}

/** `(a{1,20}){1,20}` is 400: some 15 ms for an address. */
const SIZE_MAX = 500;
/** What `*` and `{3,}` are written out as is one more than the least. */
const OPEN_END = 1;

function hasBackReference(pattern: string): boolean {
  return /(?:^|[^\\])(?:\\\\)*\\[1-9]/.test(withoutSets(pattern));
}

/** How many characters are left when each `{n,m}` is written out. Both `(` and `\(` are groups. */
function expandedSize(pattern: string): number {
  const sums = [0];
  let last = 0;
  const text = withoutSets(pattern);
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === '\\') at += 1;
    const found = INTERVAL.exec(text.slice(at, at + INTERVAL_MAX));
    const sum = sums.at(-1) ?? 0;
    if (found !== null) {
      const [whole, least = '', comma, most = ''] = found;
      const times = comma === undefined ? Number(least) : Number(most) || Number(least) + OPEN_END;
      sums[sums.length - 1] = sum + last * Math.max(0, times - 1);
      last *= times;
      at += whole.length - 1;
    } else if (text[at] === '(') {
      sums.push(0);
    } else if (text[at] === ')' && sums.length > 1) {
      last = sums.pop() ?? 0;
      sums[sums.length - 1] = (sums.at(-1) ?? 0) + last;
    } else {
      last = 1;
      sums[sums.length - 1] = sum + 1;
    }
  }
  return sums.reduce((total, sum) => total + sum, 0);
}

const INTERVAL = /^\{(\d*)(,)?(\d*)\\?\}/;
const INTERVAL_MAX = 20;

/** `[...]` is one character, whatever is in it. */
function withoutSets(pattern: string): string {
  return pattern.replace(
    /(\\.)|\[\^?\]?(?:\[[:.=][^\]]*\]|[^\]])*\]/g,
    (_set, escaped) => escaped ?? 'x',
  );
}
