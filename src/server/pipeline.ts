import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  GraphQLError,
  type OperationDefinitionNode,
} from 'graphql';
import { schema } from '../app/schema.js';
import { ChatError, rateLimited, unauthenticated } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import { authenticate } from '../domain/session/session.authentication.js';
import type { Context } from '../graphql/context.js';
import { presentError } from '../graphql/errors.js';
import { currentRequest } from '../infra/telemetry/request.js';
import type { Deps } from '../platform/deps.js';
import type { Connection } from '../platform/viewer.js';
import type { Documents } from './documents.js';
import type { MemoryLimits } from './memory-limits.js';
import type { Operations, Origin } from './operations.js';
import type { PersistedDocuments } from './persisted-documents.js';
import { SharedSubscription, type Subscriptions } from './subscriptions.js';

/** A GraphQL request as a client sends it, over HTTP or WebSocket. */
export interface GraphqlRequest {
  query?: string | null | undefined;
  documentId?: unknown;
  operationName?: string | null | undefined;
  variables?: Readonly<Record<string, unknown>> | null | undefined;
  extensions?: Readonly<Record<string, unknown>> | null | undefined;
}

/** A valid operation within the limits of its size. */
interface PreparedOperation {
  document: DocumentNode;
  operation: OperationDefinitionNode;
  operationName: string | null | undefined;
  variableValues: Record<string, unknown>;
}

/** Who sends a request, and over which connection. */
interface Caller extends Origin {
  identity: Context['identity'];
  /** The position of the feed before anything of the operation was read. */
  syncCursor: string;
  connection: Connection;
}

/** What a subscription counts against the limits of its connection, user and network. */
interface SubscriptionUse {
  /** The object that identifies the connection for the memory limits. */
  connection: object;
  /** The length of the request without its query, in bytes or characters. */
  length: number;
  /**
   * Counts the subscription against the transport's own limit until the returned function is called.
   * @param userId the user whose limit applies, or undefined if nobody is signed in, and for the service key.
   * @throws {ChatError} RATE_LIMITED if the limit is reached.
   */
  enter(userId: string | undefined): () => void;
}

/** An operation that is ready to be executed. */
export interface AdmittedOperation extends ExecutionArgs {
  contextValue: Context;
  origin: Origin;
  /** Releases what the subscription counts against limits. */
  release(): void;
}

/** The response to a rejected request. Its errors have been presented and counted. */
export interface Refusal {
  errors: readonly GraphQLError[];
}

export const isRefusal = (outcome: object): outcome is Refusal => 'errors' in outcome;

/**
 * The steps of a GraphQL request, which are the same for all transports: `prepare`, `admit`, and then `run` or, for a
 * subscription, `subscribe`. None of them throws: errors are returned in the form that clients receive, and are
 * counted.
 */
export interface Pipeline {
  /** Finds, parses, validates and measures the document of a request. It needs no database and runs synchronously. */
  prepare(request: GraphqlRequest): PreparedOperation | Refusal;
  /**
   * Adds the caller, and counts a subscription against their limits. `run` or `subscribe` must follow; they release what
   * was counted when the operation is over.
   */
  admit(operation: PreparedOperation, caller: Caller, use: SubscriptionUse): AdmittedOperation | Refusal;
  /** Executes a query or a mutation. */
  run(operation: AdmittedOperation): Promise<ExecutionResult>;
  /** Opens a subscription. It returns a result with errors if that fails. */
  subscribe(operation: AdmittedOperation): Promise<SharedSubscription | ExecutionResult>;
  /** Rejects a request with an error instead of executing it. */
  refuse(error: unknown): Refusal;
}

/** When a client that exceeds a limit of concurrent work can retry, in milliseconds. */
const TOO_MANY_RETRY_MS = 1_000;

/** The error for a client that exceeds a limit of concurrent work. */
export const tooMany = (message: string, limit?: string) => rateLimited(message, TOO_MANY_RETRY_MS, limit);

export function createPipeline({
  documents,
  persisted,
  operations,
  subscriptions,
  memoryLimits,
  deps,
}: {
  documents: Documents;
  persisted: PersistedDocuments;
  operations: Operations;
  subscriptions: Subscriptions;
  memoryLimits: MemoryLimits;
  deps: Deps;
}): Pipeline {
  const { log } = deps;
  const present = (error: unknown) => presentError(error, log, documents.presenting);
  const presented = (result: ExecutionResult): ExecutionResult =>
    result.errors ? { ...result, errors: result.errors.map(present) } : result;

  function refuse(...errors: readonly unknown[]): Refusal {
    operations.failed(errors);
    return { errors: errors.map(present) };
  }

  return {
    refuse,
    prepare(request) {
      try {
        const text = persisted.textOf(request);
        if (text === undefined) {
          throw new GraphQLError('The request must contain a query or the id of a persisted document.');
        }
        const document = documents.read(text);
        if (isRefusal(document)) return refuse(...document.errors);
        const { operationName } = request;
        const operation = documents.operationOf(document, operationName);
        const variableValues = declaredOf(operation, request.variables);
        const excess = documents.findExcess({ document, variableValues, operationName });
        return excess ? refuse(excess) : { document, operation, operationName, variableValues };
      } catch (error) {
        return refuse(error);
      }
    },
    admit(
      { document, operation, operationName, variableValues },
      { transport, parent, identity, syncCursor, connection },
      use,
    ) {
      try {
        return {
          schema,
          document,
          variableValues,
          operationName,
          contextValue: { deps, identity, requester: identity, syncCursor, ...connection },
          origin: { transport, parent },
          release: operation.operation === 'subscription' ? reserve(document, limitedUserOf(identity), use) : () => {},
          ...documents.execution,
        };
      } catch (error) {
        return refuse(error);
      }
    },
    async run(operation) {
      try {
        return presented(await operations.execute(operation, operation.origin, () => execute(operation)));
      } catch (error) {
        return { errors: [present(error)] };
      }
    },
    async subscribe(operation) {
      try {
        const opened = await operations.execute(operation, operation.origin, () => subscriptions.open(operation));
        if (opened instanceof SharedSubscription) {
          opened.whenClosed(operation.release);
          return opened;
        }
        operation.release();
        return presented(opened);
      } catch (error) {
        operation.release();
        return { errors: [present(error)] };
      }
    },
  };

  /**
   * Counts a subscription against all limits.
   * @throws {ChatError} RATE_LIMITED if one of them is reached; then nothing is counted.
   */
  function reserve(
    document: DocumentNode,
    userId: string | undefined,
    { connection, length, enter }: SubscriptionUse,
  ): () => void {
    const leave = enter(userId);
    const network = networkOf(currentRequest()?.address ?? '');
    const free = memoryLimits.reserve({ connection, userId, network }, { document, length });
    if (!free) {
      leave();
      throw tooMany(
        'Your open subscriptions use too much memory. End some of them, or use smaller documents and variables.',
      );
    }
    return () => {
      leave();
      free();
    };
  }
}

/**
 * The viewer that a bearer token identifies, or null without a token. An invalid token, or one that cannot be checked
 * at the moment (UNAVAILABLE), is returned as an error, so that only operations that need a viewer fail.
 */
export async function identify(deps: Deps, authorization: string | undefined): Promise<Context['identity']> {
  if (authorization === undefined || authorization === '') return null;
  const token = /^(?:Bearer\s+)?([\w.~+/-]+={0,2})$/i.exec(authorization.trim())?.[1];
  if (token === undefined) return unauthenticated('The Authorization header must be `Bearer <token>`.');
  try {
    return await authenticate(deps, token);
  } catch (error) {
    if (error instanceof ChatError) return error;
    throw error;
  }
}

/** The user whose limits apply, or undefined if nobody is signed in, and for the service key. */
const limitedUserOf = (identity: Context['identity']): string | undefined =>
  identity && !(identity instanceof Error) && !identity.isService ? identity.userId : undefined;

/** The values of the variables that the operation declares. */
function declaredOf(
  { variableDefinitions = [] }: OperationDefinitionNode,
  values: GraphqlRequest['variables'],
): Record<string, unknown> {
  const declared: Record<string, unknown> = {};
  if (!values) return declared;
  for (const { variable } of variableDefinitions) {
    const name = variable.name.value;
    if (Object.hasOwn(values, name)) declared[name] = values[name];
  }
  return declared;
}
