import { ForbiddenDestination, type OutgoingResponse } from '../outgoing/requests.js';

/** The outcome of a push. */
export type PushOutcome =
  | { kind: 'DELIVERED' }
  /** The subscription has ended and must be deleted. */
  | { kind: 'GONE' }
  /** The body is too large. */
  | { kind: 'TOO_LARGE' }
  /** The service rejects the push, and would reject it again. */
  | { kind: 'REJECTED'; status: number | undefined }
  /** The service cannot accept the push now. `afterMs` is the time that it has asked to wait. */
  | { kind: 'UNAVAILABLE'; status: number | undefined; afterMs: number | undefined };

/** The longest time to wait that a service can ask for, in milliseconds. */
const WAIT_MAX_MS = 24 * 3_600_000;

/** The outcome of a response with a status other than that of a success. */
export function failureOf({ status, headers }: OutgoingResponse): PushOutcome {
  if (status === 404 || status === 410) return { kind: 'GONE' };
  if (status === 413) return { kind: 'TOO_LARGE' };
  if (status === 408 || status === 425 || status === 429 || status >= 500) {
    return { kind: 'UNAVAILABLE', status, afterMs: readRetryAfter(headers['retry-after']) };
  }
  return { kind: 'REJECTED', status };
}

/** The outcome of a request that received no response. */
export function outcomeOfError(error: unknown): PushOutcome {
  if (error instanceof ForbiddenDestination) return { kind: 'REJECTED', status: undefined };
  return { kind: 'UNAVAILABLE', status: undefined, afterMs: undefined };
}

/** Reads a `Retry-After` header, a number of seconds or a date, in milliseconds. */
export function readRetryAfter(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = /^\s*\d+\s*$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.min(Math.max(ms, 0), WAIT_MAX_MS);
}
