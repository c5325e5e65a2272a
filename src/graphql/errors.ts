import { randomUUID } from 'node:crypto';
import { GraphQLError, Kind, type VariableDefinitionNode } from 'graphql';
import { ChatError, type ErrorCode, errorCodes, type WrongField } from '../core/errors.js';
import { isUnavailable, stateOf } from '../infra/database/database.js';
import type { Logger } from '../infra/telemetry/log.js';
import { currentRequest } from '../infra/telemetry/request.js';

/** Status of an answer without data, for clients that accept `application/graphql-response+json`. */
const httpStatus: Partial<Record<ErrorCode, number>> = { UNAUTHENTICATED: 401, UNAVAILABLE: 503 };

/** Longest message of GraphQL or of another library, in characters: it may quote what the client sent. */
const MESSAGE_MAX_CHARS = 1_000;

/** An error as clients get it. Presented again, it stays as it is. */
class PresentedError extends GraphQLError {}

export interface Presenting {
  /** What GraphQL itself says names nothing of the schema that was not asked for. */
  hideSuggestions?: boolean;
  /** The path from an argument to where it takes this variable's value; undefined where it is not known. */
  argumentOf?: (variable: VariableDefinitionNode) => string | undefined;
}

/**
 * What of an error reaches the client. A `ChatError` as it is; a database out of reach as UNAVAILABLE; what GraphQL and
 * the libraries around it say of an operation as BAD_USER_INPUT; anything else is a bug: logged with an id, and of it the
 * client gets that id only.
 */
export function presentError(error: unknown, log: Logger, presenting: Presenting = {}): GraphQLError {
  if (error instanceof PresentedError) return error;
  const cause = causeOf(error);
  if (cause instanceof ChatError) return present(error, cause.message, cause.code, cause);
  if (cause instanceof GraphQLError) {
    // Parsing, validation, variables: their messages speak of the operation, not of us.
    const told =
      cause.message.length > MESSAGE_MAX_CHARS ? `${cause.message.slice(0, MESSAGE_MAX_CHARS)}…` : cause.message;
    const message = presenting.hideSuggestions ? told.replace(/ Did you mean [^?]*\?$/, '') : told;
    return present(cause, message, 'BAD_USER_INPUT', {
      field: fieldOf(cause, presenting),
      limit: limitOf(cause),
      http: httpOf(cause),
    });
  }
  if (isUnavailable(cause)) {
    // That it takes no writes is logged once, by whoever watches it.
    if (stateOf(cause) === 'unreachable') {
      logOnce(cause, () => log.warn({ err: cause }, 'database unreachable'));
    }
    return present(error, 'The service is temporarily unavailable.', 'UNAVAILABLE', { retryAfterMs: 1_000 });
  }
  const errorId = logOnce(cause, (id) => log.error({ err: cause, errorId: id }, 'unexpected error'));
  return present(error, 'Something went wrong on the server.', 'INTERNAL_SERVER_ERROR', { extensions: { errorId } });
}

/** Milliseconds within which a request logs errors of one class once: one operation can fail in thousands of places. */
const LOGGED_ONCE_MS = 60_000;
/** Classes of errors that are remembered of one request. */
const CLASSES_MAX = 20;

/** Logs an error unless one of its class was logged for the same request. @returns the id that stands in the log. */
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

/** The code that an error has for clients: of one as it was thrown, or as it is presented already. */
export function codeOf(error: unknown): ErrorCode {
  const cause = causeOf(error);
  if (cause instanceof ChatError) return cause.code;
  if (cause instanceof GraphQLError) {
    return errorCodes.find((code) => code === cause.extensions['code']) ?? 'BAD_USER_INPUT';
  }
  return isUnavailable(cause) ? 'UNAVAILABLE' : 'INTERNAL_SERVER_ERROR';
}

/**
 * GraphQL wraps what a resolver throws, and several times when it passes through several hands: this is what was thrown.
 * An error of GraphQL's own is the outermost one of its kind, which says where in the operation the fault is.
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

/** Of an error that GraphQL found in the value of a variable, before it ran anything: that variable. */
function variableOf(error: GraphQLError): VariableDefinitionNode | undefined {
  const [node] = error.nodes ?? [];
  return error.path === undefined && node?.kind === Kind.VARIABLE_DEFINITION ? node : undefined;
}

/** The path from the argument to what is wrong in the value of a variable. */
function fieldOf(error: GraphQLError, { argumentOf }: Presenting): string | undefined {
  const variable = variableOf(error);
  const argument = variable && argumentOf?.(variable);
  if (argument === undefined) return undefined;
  const reason = error.originalError?.message ?? '';
  const [, within = ''] = / at "\w+([^"]*)"$/.exec(error.message.slice(0, -`; ${reason}`.length)) ?? [];
  const [, missing] = /^Field "(\w+)" /.exec(reason) ?? [];
  return [argument + within.replace(/\[(\d+)\]/g, '.$1'), ...(missing === undefined ? [] : [missing])].join('.');
}

/** The configured limit that an operation exceeds, as the check of its size named it. */
function limitOf({ extensions }: GraphQLError): string | undefined {
  const limit = extensions['limit'];
  return typeof limit === 'string' ? limit : undefined;
}

/** What yoga is to answer an error with: the status and headers that it chose itself, or that the operation is wrong. */
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
  // For yoga only, which looks for it by name: no client is to see it.
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
