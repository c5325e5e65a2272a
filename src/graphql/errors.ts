import { randomUUID } from 'node:crypto';
import { GraphQLError } from 'graphql';
import { ChatError, type ErrorCode, errorCodes } from '../core/errors.js';
import { isUnavailable } from '../infra/database.js';
import type { Logger } from '../infra/log.js';

/** Status of an answer without data, for clients that accept `application/graphql-response+json`. */
const httpStatus: Partial<Record<ErrorCode, number>> = { UNAUTHENTICATED: 401, UNAVAILABLE: 503 };

/**
 * What of an error reaches the client. A `ChatError` as it is; a database out of reach as UNAVAILABLE; what GraphQL
 * itself says of an operation as BAD_USER_INPUT; anything else is a bug: logged with an id, and of it the client gets
 * that id only.
 * @param options `hideSuggestions`: what GraphQL itself says names nothing of the schema that was not asked for.
 */
export function presentError(error: unknown, log: Logger, { hideSuggestions = false } = {}): GraphQLError {
  const cause = error instanceof GraphQLError && error.originalError ? rootOf(error.originalError) : error;
  if (cause instanceof ChatError) return present(error, cause.message, cause.code, cause);
  if (cause instanceof GraphQLError) {
    // Parsing, validation, variables: their messages speak of the operation, not of us.
    const message = hideSuggestions ? cause.message.replace(/ Did you mean [^?]*\?$/, '') : cause.message;
    return present(cause, message, 'BAD_USER_INPUT', { extensions: cause.extensions });
  }
  if (isUnavailable(cause)) {
    log.warn({ err: cause }, 'the database is out of reach');
    return present(error, 'The service is not available at the moment.', 'UNAVAILABLE', { retryAfterMs: 1_000 });
  }
  const errorId = randomUUID();
  log.error({ err: cause, errorId }, 'an unexpected error');
  return present(error, 'Something went wrong on the server.', 'INTERNAL_SERVER_ERROR', { extensions: { errorId } });
}

/** The code that an error has for clients: of one as it was thrown, or as it is presented already. */
export function codeOf(error: unknown): ErrorCode {
  const cause = error instanceof GraphQLError && error.originalError ? rootOf(error.originalError) : error;
  if (cause instanceof ChatError) return cause.code;
  if (cause instanceof GraphQLError) {
    return errorCodes.find((code) => code === cause.extensions['code']) ?? 'BAD_USER_INPUT';
  }
  return isUnavailable(cause) ? 'UNAVAILABLE' : 'INTERNAL_SERVER_ERROR';
}

/** GraphQL wraps what a resolver throws, and several times when it passes through several hands. */
function rootOf(error: Error): Error {
  return error instanceof GraphQLError && error.originalError ? rootOf(error.originalError) : error;
}

function present(
  error: unknown,
  message: string,
  code: ErrorCode,
  details: {
    field?: string | undefined;
    retryAfterMs?: number | undefined;
    extensions?: Readonly<Record<string, unknown>>;
  },
): GraphQLError {
  const extensions = {
    ...details.extensions,
    code,
    ...(details.field === undefined ? {} : { field: details.field }),
    ...(details.retryAfterMs === undefined ? {} : { retryAfterMs: details.retryAfterMs }),
  };
  const status = httpStatus[code];
  // For yoga only, which looks for it by name: no client is to see it.
  if (status !== undefined) Object.defineProperty(extensions, 'http', { value: { status, spec: true } });
  const place = error instanceof GraphQLError ? error : undefined;
  return new GraphQLError(message, {
    nodes: place?.nodes ?? null,
    source: place?.source ?? null,
    positions: place?.positions ?? null,
    path: place?.path ?? null,
    extensions,
  });
}
