import {
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  getOperationAST,
  Kind,
  type OperationDefinitionNode,
} from 'graphql';
import { type ErrorCode, rateLimited } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import type { Context } from '../graphql/context.js';
import { codeOf } from '../graphql/errors.js';
import { createKeyedQueue } from '../infra/async/keyed-queue.js';
import { createStatementLimits, type StatementLimits } from '../infra/database/statements.js';
import type { Metrics } from '../infra/telemetry/metrics.js';
import { currentRequest } from '../infra/telemetry/request.js';
import type { Carrier, Tracing } from '../infra/telemetry/tracing.js';
import type { NodeTime } from '../platform/node-time.js';
import { addressAccount } from './request-time.js';

/** The origin of an operation. */
export interface Origin {
  transport: 'http' | 'sse' | 'websocket';
  /** The trace context that the client sent. */
  parent: Carrier;
}

/** Executes GraphQL operations of all transports, and counts, times and traces them. */
export interface Operations {
  /** Executes a valid operation. Opening a subscription is an operation, but its events are not. */
  execute<Result extends object>(
    args: ExecutionArgs,
    origin: Origin,
    work: () => Result | PromiseLike<Result>,
  ): Promise<Result>;
  /** Counts errors of a response that does not belong to an operation in progress. */
  failed(errors: readonly unknown[]): void;
}

/** The maximum number of one user's queries that wait for other queries of the same user. */
const QUERIES_WAITING_PER_PERSON = 1_000;

/**
 * The part of an operation's weight that does not depend on its cost: receiving it, parsing it and responding to it.
 */
const WEIGHT_BASE = 10;

/** The key under which the use of the node by the service key is recorded. */
const SERVICE_KEY = 'service key';

/** The label of operations with several root fields, or with fragments at the root. */
const SEVERAL = 'several';

/** The labels of an operation. They have few values, whatever clients send. */
interface OperationLabels {
  type: string;
  field: string;
}

export function createOperations({
  metrics,
  tracing,
  statementsPerPersonMax,
  queriesPerPersonMax,
  largeOperationCost,
  nodeTime,
  costOf,
}: {
  metrics: Metrics;
  tracing: Tracing;
  statementsPerPersonMax: number;
  queriesPerPersonMax: number;
  largeOperationCost: number;
  nodeTime: NodeTime;
  /** Returns the points of a valid operation. */
  costOf: (args: ExecutionArgs) => number;
}): Operations {
  const waitingMax = QUERIES_WAITING_PER_PERSON;
  const refusal = () => rateLimited('Too many queries. Try again in a moment.', 1_000);
  const queries = createKeyedQueue({ atOnce: queriesPerPersonMax, waitingMax, refusal });
  const large = createKeyedQueue({ atOnce: 1, waitingMax, refusal });
  const statements = createStatementLimits(statementsPerPersonMax);
  const done = metrics.counter(
    'parley_graphql_operations_total',
    'Executed operations, by type, root field (`several` if there is more than one) and the code of the first error, or ' +
      '`OK` without one.',
    ['type', 'field', 'code'],
  );
  const lasted = metrics.duration(
    'parley_graphql_operation_duration_seconds',
    'Duration of operations. For subscriptions, the time until the stream is open.',
    { labels: ['type', 'transport'] },
  );
  const failures = metrics.counter(
    'parley_graphql_errors_total',
    'Errors returned to clients, by code: for operations, invalid requests, events and streams.',
    ['code'],
  );
  const labelsByName = new WeakMap<DocumentNode, Map<string, OperationLabels>>();

  function labelsOf({ document, operationName }: ExecutionArgs): OperationLabels {
    let ofDocument = labelsByName.get(document);
    if (!ofDocument) {
      ofDocument = new Map();
      labelsByName.set(document, ofDocument);
    }
    const operation = getOperationAST(document, operationName);
    // Operation names that the document does not contain are not used as labels, because clients can choose any number
    // of them.
    if (!operation) return { type: 'none', field: 'none' };
    const name = operation.name?.value ?? '';
    let labels = ofDocument.get(name);
    if (!labels) {
      labels = { type: operation.operation, field: rootFieldOf(operation) };
      ofDocument.set(name, labels);
    }
    return labels;
  }

  /**
   * Executes an operation when it is its user's turn. The result is an error if too many operations of the user are
   * waiting. Small mutations do not wait, because they have rate limits of their own.
   */
  async function inTurn<Result extends object>(
    key: string,
    type: string,
    cost: number,
    work: () => Result | PromiseLike<Result>,
  ): Promise<Result> {
    const isLarge = cost >= largeOperationCost;
    if (type !== 'query' && !isLarge) return work();
    const leave: (() => void)[] = [];
    try {
      // Large operations wait for each other first, so that they do not take turns of small queries.
      if (isLarge) leave.push(await large.enter(key));
      if (type === 'query') leave.push(await queries.enter(key));
    } catch (error) {
      for (const end of leave) end();
      const refused = new GraphQLError((error as Error).message, { originalError: error as Error });
      return { errors: [refused] } satisfies ExecutionResult as unknown as Result;
    }
    try {
      // Small queries are not charged: the node may be busy with other work, such as receiving requests of other users.
      if (isLarge) await nodeTime.whenWithinShare(key);
      const end = nodeTime.begin(WEIGHT_BASE + cost);
      try {
        return await work();
      } finally {
        const ms = end();
        if (isLarge) nodeTime.spend(key, ms);
      }
    } finally {
      for (const end of leave) end();
    }
  }

  function failed(errors: readonly unknown[]): ErrorCode[] {
    const codes = errors.map(codeOf);
    for (const code of codes) failures({ code });
    return codes;
  }

  return {
    failed,
    async execute(args, { transport, parent }, work) {
      const { type, field } = labelsOf(args);
      const attributes = {
        'graphql.operation.type': type,
        'parley.field': field,
        'parley.transport': transport,
        'parley.request_id': currentRequest()?.id,
      };
      const key = keyOf(args);
      limitStatements(key, statements);
      nodeTime.usage.record(key ?? SERVICE_KEY);
      const began = performance.now();
      let code: ErrorCode | 'OK' = 'INTERNAL_SERVER_ERROR';
      try {
        return await tracing.serve(
          field === SEVERAL ? type : `${type} ${field}`,
          { parent, attributes, codeOf: () => (code === 'OK' ? undefined : code) },
          async () => {
            const result = await (key === undefined || type === 'subscription'
              ? work()
              : inTurn(key, type, costOf(args), work));
            [code = 'OK'] = failed((result as ExecutionResult).errors ?? []);
            return result;
          },
        );
      } finally {
        done({ type, field, code });
        lasted((performance.now() - began) / 1000, { type, transport });
      }
    },
  };
}

/**
 * The key by which operations are limited: the user, or the address if nobody is signed in. It is undefined for the
 * service key.
 */
function keyOf({ contextValue }: ExecutionArgs): string | undefined {
  const { requester } = contextValue as Context;
  if (requester === null || requester instanceof Error)
    return addressAccount(networkOf(currentRequest()?.address ?? ''));
  return requester.isService ? undefined : requester.userId;
}

/** Makes the following statements of this request wait for others with the same key, and only for those. */
function limitStatements(key: string | undefined, statements: StatementLimits): void {
  const request = currentRequest();
  if (request) request.limitStatement = statements.forOperation(key);
}

/** The root field of a valid operation, or `several` if it has several root fields or uses a fragment. */
export function rootFieldOf({ selectionSet }: OperationDefinitionNode): string {
  const names = new Set(
    selectionSet.selections.map((selection) => (selection.kind === Kind.FIELD ? selection.name.value : SEVERAL)),
  );
  const [only = SEVERAL] = names;
  return names.size === 1 ? only : SEVERAL;
}
