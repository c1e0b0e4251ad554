/** How logs write durations: `0.06`, `0.1`, `6.9`, `12`, `5403`. */

const SIGNIFICANT_DIGITS = 2;
const MILLION = 1_000_000;

/**
 * At most two significant digits, and never finer than `decimalsMax` (delay_logging_resolution_limit)
 * decimals; trailing zeros are dropped, whole seconds never are. Negative durations count as 0.
 */
export function formatDelay(seconds: number, decimalsMax = 2): string {
  if (!(seconds > 0)) return '0';
  const total = Math.round(seconds * MILLION);
  const decimals = Math.min(decimalsMax, decimalsOf(total));
  const scale = 10 ** decimals;
  const rounded = Math.round((total * scale) / MILLION);
  return String(rounded / scale);
}

/** How many decimals two significant digits leave a duration of so many microseconds. */
function decimalsOf(microseconds: number): number {
  let decimals = 6 + SIGNIFICANT_DIGITS - 1;
  for (let rest = microseconds; rest >= 10 && decimals > 0; rest /= 10) decimals -= 1;
  return decimals;
}
