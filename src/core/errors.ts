/**
 * The values of `extensions.code`: the `ErrorCode` of the contract, in its order.
 * `INTERNAL_SERVER_ERROR` is never thrown: unexpected errors are presented to clients with this code.
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

/** The values of `extensions.reason` of a FORBIDDEN error. docs/PROTOCOL.md describes how clients react to each. */
export const forbiddenReasons = [
  'NOT_A_MEMBER',
  'RECIPIENT_UNREACHABLE',
  'ACCOUNT_CLOSED',
  'NOT_A_MODERATOR',
  'DEVICE_NOT_IN_GROUP',
  'ENCRYPTED',
] as const;

export type ForbiddenReason = (typeof forbiddenReasons)[number];

/** The values of `extensions.reason` of a CONFLICT error, in the same way. */
export const conflictReasons = [
  'ANSWERED_ELSEWHERE',
  'IN_ANOTHER_CALL',
  'CALL_ENDED',
  'ENCRYPTED',
  'NOT_ENCRYPTED',
  'STALE_EPOCH',
  'REKEY',
  'DEVICE_REMOVED',
  'ACCOUNT_KEYS_CHANGED',
  'STALE_DEVICE_LIST',
] as const;

export type ConflictReason = (typeof conflictReasons)[number];

/** An invalid value of an input. */
export interface WrongField {
  field: string;
  message: string;
}

export interface ErrorDetails {
  /** The path of the invalid value, from the argument: `input.username`, `first`. */
  field?: string;
  /** All invalid fields, each once, if there are several. */
  fields?: readonly WrongField[] | undefined;
  /** The reason of a FORBIDDEN or CONFLICT error, if clients react to it differently. */
  reason?: ForbiddenReason | ConflictReason;
  /** With the reason STALE_EPOCH: the current generation and epoch of the group. */
  extensions?: Readonly<{ generation: number; epoch: number }>;
  /** The configured limit that was reached: its field in `serverInfo.limits`. */
  limit?: string | undefined;
  /** The time in milliseconds after which a retry may succeed, for RATE_LIMITED and UNAVAILABLE. */
  retryAfterMs?: number;
  /** The original error, which is logged but never sent to clients. */
  cause?: unknown;
}

/**
 * An expected error, whose message and code are sent to the client unchanged. Every other error is a bug, which is
 * logged with an id and masked.
 */
export class ChatError extends Error {
  readonly code: ErrorCode;
  readonly field: string | undefined;
  readonly fields: readonly WrongField[] | undefined;
  readonly reason: ForbiddenReason | ConflictReason | undefined;
  readonly extensions: Readonly<Record<string, unknown>>;
  readonly limit: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(code: Exclude<ErrorCode, 'INTERNAL_SERVER_ERROR'>, message: string, details: ErrorDetails = {}) {
    super(message, { cause: details.cause });
    this.name = 'ChatError';
    this.code = code;
    this.field = details.field;
    this.fields = details.fields;
    this.reason = details.reason;
    this.extensions = details.extensions ?? {};
    this.limit = details.limit;
    this.retryAfterMs = details.retryAfterMs;
  }
}

/** `BAD_USER_INPUT` of the given field. `limit` is the field in `serverInfo.limits` whose value was exceeded, if any. */
export const badInput = (field: string, message: string, limit?: string) =>
  new ChatError('BAD_USER_INPUT', message, { field, limit });

/**
 * `FORBIDDEN`: the viewer is allowed to do this, but a configured limit is reached.
 * @param limit the limit's field in `serverInfo.limits`.
 */
export const limitReached = (limit: string, message: string, field?: string) =>
  new ChatError('FORBIDDEN', message, { limit, ...(field !== undefined && { field }) });

/**
 * `NOT_FOUND` for the given field: the object does not exist, or the viewer must not see it. Clients cannot distinguish
 * the two cases.
 */
export const notFound = (field: string, what: string) => new ChatError('NOT_FOUND', `${what} not found.`, { field });

/** `RATE_LIMITED`: the same call is accepted after `retryAfterMs` milliseconds, provided that no others are made. */
export const rateLimited = (message: string, retryAfterMs: number, limit?: string) =>
  new ChatError('RATE_LIMITED', message, { retryAfterMs, limit });

/** `UNAVAILABLE`: a related object was deleted between two reads. The call can be repeated. */
export const gone = (what: string): never => {
  throw new ChatError('UNAVAILABLE', `${what} was deleted in the meantime. Try again.`);
};

/** `UNAUTHENTICATED`: the request has no token, or an invalid one. */
export const unauthenticated = (message = 'Sign in first.') => new ChatError('UNAUTHENTICATED', message);
