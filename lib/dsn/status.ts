/** RFC 3463 status codes: what became of a recipient, in three numbers. */

/** An RFC 3463 status of one class: 2 success, 4 try again, 5 give up. */
export type Status<Class extends 2 | 4 | 5 = 2 | 4 | 5> = `${Class}.${number}.${number}`;

const STATUS = /^[245]\.\d{1,3}\.\d{1,3}$/;

/** A status at the start of a text, up to white space or the end. */
const LEADING_STATUS = /^\s*([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)/;

/** Whether `text` is a status and nothing else. */
export function isStatus(text: string): text is Status {
  return STATUS.test(text);
}

/** The class of a status. */
export function statusClass(status: Status): 2 | 4 | 5 {
  return Number(status[0]) as 2 | 4 | 5;
}

/** A text that has lost the status it began with. */
export interface SplitStatus<Class extends 2 | 4 | 5> {
  readonly status: Status<Class>;
  readonly text: string;
}

/**
 * Takes the status off the front of `text`: `5.7.1 go away`. Without one, or when it belongs to
 * another class than `fallback` (a deferral can't be 5.1.1), the status is `fallback`.
 */
export function splitStatus<const S extends Status>(
  text: string,
  fallback: S,
): SplitStatus<ClassOf<S>> {
  const found = LEADING_STATUS.exec(text);
  const status = found?.[1]?.[0] === fallback[0] ? found?.[1] : fallback;
  const rest = found === null ? text.trimStart() : text.slice(found[0].length);
  return { status: status as Status<ClassOf<S>>, text: rest };
}

type ClassOf<S extends Status> = S extends Status<2> ? 2 : S extends Status<4> ? 4 : 5;
