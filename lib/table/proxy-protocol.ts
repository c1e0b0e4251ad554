/** What clients of proxymap(8) and the service say to each other. ipc.md 3.13. */
import type { TableContext } from './definition.ts';
import { usesUtf8 } from './fold.ts';

/** How a request ended. */
export const PROXY_STATUS = {
  OK: 0,
  NOKEY: 1,
  RETRY: 2,
  BAD: 3,
  DENY: 4,
  CONFIG: 5,
} as const;

/** How a table is to be opened, and what one is like: bits of `flags`. */
export const PROXY_FLAG = {
  DUP_WARN: 1 << 0,
  /** Its keys are fixed strings. */
  FIXED: 1 << 4,
  /** Its keys are patterns: parts of addresses are not asked for. */
  PATTERN: 1 << 5,
  LOCK: 1 << 6,
  DUP_REPLACE: 1 << 7,
  SYNC_UPDATE: 1 << 8,
  NO_REGSUB: 1 << 11,
  FOLD_FIX: 1 << 14,
  UTF8_REQUEST: 1 << 19,
  UTF8_ACTIVE: 1 << 20,
  SRC_RHS_IS_FILE: 1 << 21,
} as const;

/** The first entry, or the next one. */
export const SEQUENCE = { FIRST: 0, NEXT: 1 } as const;

/** The flags that ask for a table of this context. */
export function flagsOf(context: TableContext): number {
  let flags: number = PROXY_FLAG.LOCK;
  if (context.fold !== false) flags |= PROXY_FLAG.FOLD_FIX;
  if (context.substitution === false) flags |= PROXY_FLAG.NO_REGSUB;
  if (context.valuesAreFiles === true) flags |= PROXY_FLAG.SRC_RHS_IS_FILE;
  if (usesUtf8(context)) flags |= PROXY_FLAG.UTF8_REQUEST;
  return flags;
}

/** The context that flags ask for. */
export function contextOf(flags: number, context: TableContext): TableContext {
  return {
    ...context,
    fold: (flags & PROXY_FLAG.FOLD_FIX) !== 0,
    substitution: (flags & PROXY_FLAG.NO_REGSUB) === 0,
    valuesAreFiles: (flags & PROXY_FLAG.SRC_RHS_IS_FILE) !== 0,
  };
}
