/** What a client has to pass, and until when it has passed it. Pure. */

/** In the order of the cache. */
export const TESTS = ['pregreet', 'dnsbl', 'pipelining', 'nonSmtp', 'bareNewline'] as const;
export type Test = (typeof TESTS)[number];

/** Tests that are made before the greeting, and after it. */
export const EARLY_TESTS: readonly Test[] = ['pregreet', 'dnsbl'];
export const DEEP_TESTS: readonly Test[] = ['pipelining', 'nonSmtp', 'bareNewline'];

/** When each test has to be passed again: seconds since the epoch; or one of the two below. */
export type Expiry = Record<Test, number>;

export const NEVER_PASSED = 0;
/** The test was switched off at the time. */
const DISABLED = 1;
const STAMP = /^\d{1,15}$/;

/** A client that we have never seen. */
export function newExpiry(): Expiry {
  return expiryOf(() => NEVER_PASSED);
}

/** Reads a value of the cache, `1700000000;0;1;1;1`: tests that it does not know were switched off. */
export function parseExpiry(text: string): Expiry {
  const words = text.split(';');
  return expiryOf((_test, at) => (STAMP.test(words[at] ?? '') ? Number(words[at]) : DISABLED));
}

/** @param isEnabled whether a test is made at all: a client is not new for one that was not */
export function formatExpiry(expiry: Expiry, isEnabled: (test: Test) => boolean): string {
  return TESTS.map((test) =>
    expiry[test] === NEVER_PASSED && !isEnabled(test) ? DISABLED : expiry[test],
  ).join(';');
}

/** The tests that a client has to pass at a time. */
export function dueTests(
  expiry: Expiry,
  seconds: number,
  isEnabled: (test: Test) => boolean,
): Test[] {
  return TESTS.filter((test) => isEnabled(test) && seconds > expiry[test]);
}

/** It has not passed all tests yet. */
export function isNew(expiry: Expiry): boolean {
  return TESTS.some((test) => expiry[test] === NEVER_PASSED);
}

function expiryOf(stampOf: (test: Test, at: number) => number): Expiry {
  return Object.fromEntries(TESTS.map((test, at) => [test, stampOf(test, at)])) as Expiry;
}

/** How a client is doing in one session. */
export class Progress {
  readonly todo = new Set<Test>();
  /** Before the greeting: there is nothing more to wait for. */
  readonly done = new Set<Test>();
  readonly passed = new Set<Test>();
  readonly failed = new Set<Test>();
  /** It was failed once, and is not looked at any more. */
  readonly skipped = new Set<Test>();
  /** It is on the list of those who are refused, or it came to an address that allows nobody. */
  isBarred = false;
  /** It is not handed to a real server. */
  isHeld = false;
  isNew = false;

  get hasFailed(): boolean {
    return this.isBarred || this.failed.size > 0;
  }

  /** It has passed whatever there was to pass, and that was something. */
  get hasPassedAll(): boolean {
    return this.passed.size > 0 && [...this.todo].every((test) => this.passed.has(test));
  }

  isTodo(tests: readonly Test[]): boolean {
    return tests.some((test) => this.todo.has(test));
  }
}
