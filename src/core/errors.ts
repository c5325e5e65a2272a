/**
 * What `extensions.code` of an error can be: the contract's `ErrorCode`, in its order.
 * `INTERNAL_SERVER_ERROR` is never thrown: it is what anything else becomes on its way out.
 */
export const errorCodes = [
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'BAD_USER_INPUT',
  'CONFLICT',
  'RATE_LIMITED',
  'CURSOR_EXPIRED',
  'PAYLOAD_TOO_LARGE',
  'UNAVAILABLE',
  'INTERNAL_SERVER_ERROR',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** What `extensions.reason` of a FORBIDDEN can be; docs/PROTOCOL.md says what helps with each. */
export const forbiddenReasons = ['NOT_A_MEMBER', 'RECIPIENT_UNREACHABLE', 'ACCOUNT_CLOSED', 'NOT_A_MODERATOR'] as const;

export type ForbiddenReason = (typeof forbiddenReasons)[number];

/** One value of an input that is wrong. */
export interface WrongField {
  field: string;
  message: string;
}

export interface ErrorDetails {
  /** The path from the argument to what is wrong: `input.username`, `first`. */
  field?: string;
  /** What is wrong with the input, each field once, where it is more than `field` alone. */
  fields?: readonly WrongField[] | undefined;
  /** Why it is FORBIDDEN, where something different helps with each reason. */
  reason?: ForbiddenReason;
  /** The configured limit that was reached: its field in `serverInfo.limits`. */
  limit?: string | undefined;
  /** Milliseconds after which the same call may succeed; of RATE_LIMITED and UNAVAILABLE. */
  retryAfterMs?: number;
  /** What it stems from: logged, never sent. */
  cause?: unknown;
}

/**
 * An expected failure: its message and code reach the client as they are. Every other error is a bug,
 * logged with an id and masked.
 */
export class ChatError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly fields: readonly WrongField[] | undefined;
  readonly reason: ForbiddenReason | undefined;
  readonly limit: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: Exclude<ErrorCode, 'INTERNAL_SERVER_ERROR'>, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'ChatError';
    this.code = code;
    this.field = details.field;
    this.fields = details.fields;
    this.reason = details.reason;
    this.limit = details.limit;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** `BAD_USER_INPUT` of the given field. `limit` is the configured limit that the value exceeds, if it is one. */
export const badInput = (field: string, message: string, limit?: string) =>
  new ChatError('BAD_USER_INPUT', message, { field, limit });

/**
 * `FORBIDDEN`, because the viewer may do this, but a configured limit is reached.
 * @param limit the limit's field in `serverInfo.limits`.
 */
export const limitReached = (limit: string, message: string, field?: string) =>
  new ChatError('FORBIDDEN', message, { limit, ...(field !== undefined && { field }) });

/** `NOT_FOUND` of the given field: it does not exist, or is not for the viewer, which must look the same. */
export const notFound = (field: string, what: string) => new ChatError('NOT_FOUND', `${what} not found.`, { field });

/** Too much of it for now: the same call goes through once that many milliseconds have passed, if nothing else is asked. */
export const rateLimited = (message: string, retryAfterMs: number, limit?: string) =>
  new ChatError('RATE_LIMITED', message, { retryAfterMs, limit });

/** What must be there beside something that was read a moment ago was removed in between: the same call may be repeated. */
export const gone = (what: string): never => {
  throw new ChatError('UNAVAILABLE', `${what} was deleted in the meantime. Try again.`);
};

/** Nobody is signed in, or with a token that no longer counts. */
export const unauthenticated = (message = 'Sign in first.') => new ChatError('UNAUTHENTICATED', message);
