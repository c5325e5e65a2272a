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
import { createGates } from '../infra/async/gates.js';
import { createStatementLimits, type StatementLimits } from '../infra/database/statements.js';
import type { Metrics } from '../infra/telemetry/metrics.js';
import { currentRequest } from '../infra/telemetry/request.js';
import type { Carrier, Tracing } from '../infra/telemetry/tracing.js';

type Transport = 'http' | 'sse' | 'websocket';

/** What is seen of GraphQL operations, over whichever transport: each is counted, timed and traced. */
export interface Operations {
  /**
   * Carries out a valid operation. A subscription is one until it is open: what comes over it is none.
   * `parent` is the trace that its client named.
   */
  carryOut<Result extends object>(
    args: ExecutionArgs,
    from: { transport: Transport; parent: Carrier },
    work: () => Result | PromiseLike<Result>,
  ): Promise<Result>;
  /** Something was answered with errors that was no operation, or not any more. */
  failed(errors: readonly unknown[]): void;
}

/** Queries of one person that may wait for others of theirs. */
const QUERIES_WAITING_PER_PERSON = 1_000;

/** Where an operation has several fields, or none of its own. */
const SEVERAL = 'several';

/** What is said of an operation: of few values, whatever clients send. */
interface Sort {
  type: string;
  field: string;
}

export function createOperations({
  metrics,
  tracing,
  statementsPerPersonMax,
  queriesPerPersonMax,
}: {
  metrics: Metrics;
  tracing: Tracing;
  statementsPerPersonMax: number;
  queriesPerPersonMax: number;
}): Operations {
  const queries = createGates({
    atOnce: queriesPerPersonMax,
    waitingMax: QUERIES_WAITING_PER_PERSON,
    refusal: () => rateLimited('Too many queries. Try again in a moment.', 1_000),
  });
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
  const sorts = new WeakMap<DocumentNode, Map<string, Sort>>();

  function sortOf({ document, operationName }: ExecutionArgs): Sort {
    let ofDocument = sorts.get(document);
    if (!ofDocument) {
      ofDocument = new Map();
      sorts.set(document, ofDocument);
    }
    const operation = getOperationAST(document, operationName);
    // A name that is not in the document is not remembered: there are as many as clients can think of.
    if (!operation) return { type: 'none', field: 'none' };
    const name = operation.name?.value ?? '';
    let sort = ofDocument.get(name);
    if (!sort) {
      sort = { type: operation.operation, field: rootFieldOf(operation) };
      ofDocument.set(name, sort);
    }
    return sort;
  }

  /** Carries a query out when it is its person's turn; where too many wait already, the answer says so. */
  async function inTurn<Result extends object>(key: string, work: () => Result | PromiseLike<Result>): Promise<Result> {
    let leave: () => void;
    try {
      leave = await queries.enter(key);
    } catch (refusal) {
      const error = new GraphQLError((refusal as Error).message, { originalError: refusal as Error });
      return { errors: [error] } satisfies ExecutionResult as unknown as Result;
    }
    try {
      return await work();
    } finally {
      leave();
    }
  }

  function failed(errors: readonly unknown[]): ErrorCode[] {
    const codes = errors.map(codeOf);
    for (const code of codes) failures({ code });
    return codes;
  }

  return {
    failed,
    async carryOut(args, { transport, parent }, work) {
      const { type, field } = sortOf(args);
      const attributes = {
        'graphql.operation.type': type,
        'parley.field': field,
        'parley.transport': transport,
        'parley.request_id': currentRequest()?.id,
      };
      const key = keyOf(args);
      limitStatements(key, statements);
      const began = performance.now();
      let code: ErrorCode | 'OK' = 'INTERNAL_SERVER_ERROR';
      try {
        return await tracing.serve(
          field === SEVERAL ? type : `${type} ${field}`,
          { parent, attributes, codeOf: () => (code === 'OK' ? undefined : code) },
          async () => {
            const result = type === 'query' && key !== undefined ? await inTurn(key, work) : await work();
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

/** Whose operation it is: of a person, or of an address. Undefined: of the backend with the service key. */
function keyOf({ contextValue }: ExecutionArgs): string | undefined {
  const { asker } = contextValue as Context;
  if (asker === null || asker instanceof Error) return `address ${networkOf(currentRequest()?.address ?? '')}`;
  return asker.isService ? undefined : asker.userId;
}

/** From here on statements of this request wait for others of the same person, and of nobody else. */
function limitStatements(key: string | undefined, statements: StatementLimits): void {
  const request = currentRequest();
  if (request) request.limitStatement = statements.forOperation(key);
}

/** The field of the schema that a valid operation asks for; `several` where it is not only one, or by a fragment. */
export function rootFieldOf({ selectionSet }: OperationDefinitionNode): string {
  const names = new Set(
    selectionSet.selections.map((selection) => (selection.kind === Kind.FIELD ? selection.name.value : SEVERAL)),
  );
  const [only = SEVERAL] = names;
  return names.size === 1 ? only : SEVERAL;
}
