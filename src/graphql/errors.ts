import { randomUUID } from 'node:crypto';
import { GraphQLError, Kind, type VariableDefinitionNode } from 'graphql';
import { ChatError, type ErrorCode, errorCodes, type WrongField } from '../core/errors.js';
import { isUnavailable, stateOf } from '../infra/database/database.js';
import type { Logger } from '../infra/telemetry/log.js';
import { currentRequest } from '../infra/telemetry/request.js';

/** The HTTP status of a response without data, for clients that accept `application/graphql-response+json`. */
const httpStatus: Partial<Record<ErrorCode, number>> = { UNAUTHENTICATED: 401, UNAVAILABLE: 503 };

/** The maximum length of a message from GraphQL or another library, in characters: it can quote the client's input. */
const MESSAGE_MAX_CHARS = 1_000;
/**
 * The maximum length of the path of a field in an error, in characters: its last part can be a name from the client's
 * input.
 */
const FIELD_MAX_CHARS = 200;

/** An error in the form that clients receive. `presentError` returns it unchanged. */
class PresentedError extends GraphQLError {}

export interface Presenting {
  /** Whether to remove suggestions from messages of GraphQL, which reveal names of the schema. */
  hideSuggestions?: boolean;
  /** The path from an argument to the position where it uses the variable, or undefined if it is not known. */
  argumentOf?: (variable: VariableDefinitionNode) => string | undefined;
}

/**
 * Converts an error to the form that clients receive. A `ChatError` keeps its code and message; an unreachable database
 * becomes UNAVAILABLE; errors of GraphQL and its libraries about the operation become BAD_USER_INPUT. Every other error
 * is a bug: it is logged with an id, and the client receives only the id.
 */
export function presentError(error: unknown, log: Logger, presenting: Presenting = {}): GraphQLError {
  if (error instanceof PresentedError) return error;
  const cause = causeOf(error);
  if (cause instanceof ChatError) return present(error, cause.message, cause.code, cause);
  if (cause instanceof GraphQLError) {
    // Errors of parsing, validation and variables describe the operation and reveal nothing about the server.
    const text =
      cause.message.length > MESSAGE_MAX_CHARS ? `${cause.message.slice(0, MESSAGE_MAX_CHARS)}…` : cause.message;
    const message = presenting.hideSuggestions ? text.replace(/ Did you mean [^?]*\?$/, '') : text;
    return present(cause, message, 'BAD_USER_INPUT', {
      field: fieldOf(cause, presenting),
      limit: limitOf(cause),
      http: httpOf(cause),
    });
  }
  if (isUnavailable(cause)) {
    // A read-only database is logged once by the code that monitors the database.
    if (stateOf(cause) === 'unreachable') {
      logOnce(cause, () => log.warn({ err: cause }, 'database unreachable'));
    }
    return present(error, 'The service is temporarily unavailable.', 'UNAVAILABLE', { retryAfterMs: 1_000 });
  }
  const errorId = logOnce(cause, (id) => log.error({ err: cause, errorId: id }, 'unexpected error'));
  return present(error, 'Something went wrong on the server.', 'INTERNAL_SERVER_ERROR', { extensions: { errorId } });
}

/**
 * How long a request logs errors of the same class only once, in milliseconds: one operation can fail in thousands of
 * fields.
 */
const LOGGED_ONCE_MS = 60_000;
/** The maximum number of error classes that are remembered per request. */
const CLASSES_MAX = 20;

/**
 * Logs an error unless one of its class was logged recently for the same request.
 * @returns the id in the log entry.
 */
function logOnce(error: unknown, write: (errorId: string) => void): string {
  const request = currentRequest();
  const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
  const kind = `${String(name)} ${String(code)}`;
  const known = request?.loggedErrors?.get(kind);
  const now = performance.now();
  if (known && now - known.at < LOGGED_ONCE_MS) return known.errorId;
  const errorId = randomUUID();
  write(errorId);
  if (request) {
    request.loggedErrors ??= new Map();
    const logged = request.loggedErrors;
    logged.delete(kind);
    const [oldest] = logged.keys();
    if (logged.size >= CLASSES_MAX && oldest !== undefined) logged.delete(oldest);
    logged.set(kind, { errorId, at: now });
  }
  return errorId;
}

/** The code of an error for clients, whether it has been presented already or not. */
export function codeOf(error: unknown): ErrorCode {
  const cause = causeOf(error);
  if (cause instanceof ChatError) return cause.code;
  if (cause instanceof GraphQLError) {
    return errorCodes.find((code) => code === cause.extensions['code']) ?? 'BAD_USER_INPUT';
  }
  return isUnavailable(cause) ? 'UNAVAILABLE' : 'INTERNAL_SERVER_ERROR';
}

/**
 * Returns the error that was thrown originally: GraphQL wraps errors of resolvers, possibly several times. Of GraphQL's
 * own errors, it returns the outermost one, which has the location in the operation.
 */
function causeOf(error: unknown): unknown {
  if (!(error instanceof GraphQLError) || !error.originalError) return error;
  const root = rootOf(error.originalError);
  if (root instanceof ChatError) return root;
  return root instanceof GraphQLError || variableOf(error) ? error : root;
}

function rootOf(error: Error): Error {
  return error instanceof GraphQLError && error.originalError ? rootOf(error.originalError) : error;
}

/** The variable whose value caused an error before the execution began. */
function variableOf(error: GraphQLError): VariableDefinitionNode | undefined {
  const [node] = error.nodes ?? [];
  return error.path === undefined && node?.kind === Kind.VARIABLE_DEFINITION ? node : undefined;
}

/** The path from the argument to the invalid part of a variable's value. */
function fieldOf(error: GraphQLError, { argumentOf }: Presenting): string | undefined {
  const variable = variableOf(error);
  const argument = variable && argumentOf?.(variable);
  if (argument === undefined) return undefined;
  const reason = error.originalError?.message ?? '';
  const [, within = ''] = / at "\w+([^"]*)"$/.exec(error.message.slice(0, -`; ${reason}`.length)) ?? [];
  const [, missing] = /^Field "(\w+)" /.exec(reason) ?? [];
  const path = [argument + within.replace(/\[(\d+)\]/g, '.$1'), ...(missing === undefined ? [] : [missing])].join('.');
  return path.slice(0, FIELD_MAX_CHARS);
}

/** The name of the limit that an operation exceeds, if the check of its size or cost set one. */
function limitOf({ extensions }: GraphQLError): string | undefined {
  const limit = extensions['limit'];
  return typeof limit === 'string' ? limit : undefined;
}

/**
 * The status and headers with which yoga responds to an error: those that it set itself, or 400 for an invalid
 * operation.
 */
function httpOf(error: GraphQLError): object | undefined {
  const given = error.extensions['http'];
  if (typeof given === 'object' && given !== null) return given;
  return error.path === undefined ? { status: 400, spec: true } : undefined;
}

function present(
  error: unknown,
  message: string,
  code: ErrorCode,
  details: {
    field?: string | undefined;
    fields?: readonly WrongField[] | undefined;
    reason?: string | undefined;
    limit?: string | undefined;
    retryAfterMs?: number | undefined;
    extensions?: Readonly<Record<string, unknown>>;
    http?: object | undefined;
  },
): GraphQLError {
  const extensions = {
    ...details.extensions,
    code,
    ...(details.field === undefined ? {} : { field: details.field }),
    ...(details.fields === undefined ? {} : { fields: details.fields }),
    ...(details.reason === undefined ? {} : { reason: details.reason }),
    ...(details.limit === undefined ? {} : { limit: details.limit }),
    ...(details.retryAfterMs === undefined ? {} : { retryAfterMs: details.retryAfterMs }),
  };
  const status = httpStatus[code];
  const http = details.http ?? (status === undefined ? undefined : { status, spec: true });
  // Not enumerable: yoga reads it by name, and clients do not receive it.
  if (http !== undefined) Object.defineProperty(extensions, 'http', { value: http });
  const place = error instanceof GraphQLError ? error : undefined;
  return new PresentedError(message, {
    nodes: place?.nodes ?? null,
    source: place?.source ?? null,
    positions: place?.positions ?? null,
    path: place?.path ?? null,
    extensions,
  });
}
