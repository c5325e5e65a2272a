/** An error of a response, as the server sends it. */
export interface GraphQLErrorLike {
  message: string;
  path?: readonly (string | number)[];
  extensions?: Record<string, unknown>;
}

/**
 * A failed operation.
 *
 * `code` is a value of the server's `ErrorCode`, or one of these:
 * - `NETWORK`: no response was received. It is unknown whether the server executed the operation.
 * - `CLOSED`: the client was closed.
 *
 * Treat an unknown code as an error that a newer server introduced, and show `message`.
 */
export class ParleyError extends Error {
  override readonly name = 'ParleyError';
  declare readonly code: string;
  /** The path of the argument that is invalid, such as `input.username`. */
  declare readonly field: string | undefined;
  /** The cause of a `FORBIDDEN`, such as `NOT_A_MEMBER`. */
  declare readonly reason: string | undefined;
  /** The field of `serverInfo.limits` whose value was exceeded. */
  declare readonly limit: string | undefined;
  /** For `RATE_LIMITED`: after how many milliseconds the same operation succeeds. */
  declare readonly retryAfter: number | undefined;
  /** All errors of the response, with every invalid field in `extensions.fields`. */
  declare readonly errors: readonly GraphQLErrorLike[];
  /** The part of the response that succeeded, if there is one. */
  declare readonly data: unknown;

  constructor(code: string, message: string, errors: readonly GraphQLErrorLike[] = [], data?: unknown) {
    super(message);
    const { field, reason, limit, retryAfterMs: retryAfter } = errors[0]?.extensions ?? {};
    Object.assign(this, { code, field, reason, limit, retryAfter, errors, data });
  }
}

/** Converts the errors of a response. */
export function responseError(errors: readonly GraphQLErrorLike[], data?: unknown): ParleyError {
  const { message = 'The operation failed.', extensions } = errors[0] ?? {};
  return new ParleyError((extensions?.['code'] as string) ?? 'INTERNAL_SERVER_ERROR', message, errors, data);
}

/** Converts anything that was thrown. Failures of `fetch` and of a WebSocket become `NETWORK`. */
export function toError(thrown: unknown): ParleyError {
  if (thrown instanceof ParleyError) return thrown;
  return new ParleyError('NETWORK', (thrown as Error | null)?.message || 'The server could not be reached.');
}

/** Whether the same operation can succeed later without a change of its input. */
export function isTemporary({ code }: ParleyError): boolean {
  return /^(NETWORK|UNAVAILABLE|INTERNAL_SERVER_ERROR|RATE_LIMITED|UNAUTHENTICATED)$/.test(code);
}
