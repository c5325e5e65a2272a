import { setTimeout as delay } from 'node:timers/promises';
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
import { createLoopTime } from './loop-time.js';
import { createShares } from './shares.js';

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

/** Milliseconds of the node's time that the operations of one person may take at once. */
const SHARE_AT_ONCE_MS = 500;
/** For how many milliseconds after an operation of somebody else the node counts as used by others. */
const OTHERS_MS = 1_000;
/** The part of an operation's weight that does not depend on its cost: it is received, read and answered. */
const WEIGHT_BASE = 10;

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
  largeOperationCost,
  timePerPersonPercent,
  costOf,
}: {
  metrics: Metrics;
  tracing: Tracing;
  statementsPerPersonMax: number;
  queriesPerPersonMax: number;
  largeOperationCost: number;
  timePerPersonPercent: number;
  /** The cost points of a valid operation. */
  costOf: (args: ExecutionArgs) => number;
}): Operations {
  const waitingMax = QUERIES_WAITING_PER_PERSON;
  const refusal = () => rateLimited('Too many queries. Try again in a moment.', 1_000);
  const queries = createGates({ atOnce: queriesPerPersonMax, waitingMax, refusal });
  const large = createGates({ atOnce: 1, waitingMax, refusal });
  const shares = createShares({ share: timePerPersonPercent / 100, atOnceMs: SHARE_AT_ONCE_MS });
  const loopTime = createLoopTime();
  /** Who began an operation last, and when the last operation of anybody else began. */
  let latest: { key: string; at: number; otherAt: number } = { key: '', at: -Infinity, otherAt: -Infinity };
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

  function noteUseBy(key: string): void {
    const at = performance.now();
    latest = { key, at, otherAt: latest.key === key ? latest.otherAt : latest.at };
  }

  function isUsedByOthers(key: string): boolean {
    const at = latest.key === key ? latest.otherAt : latest.at;
    return performance.now() - at < OTHERS_MS;
  }

  /** Resolves when a person has used no more than their share of the time, or nobody else uses the node. */
  async function whenPaid(key: string): Promise<void> {
    for (let waitMs = shares.waitOf(key); waitMs >= 1 && isUsedByOthers(key); waitMs = shares.waitOf(key)) {
      await delay(Math.min(waitMs, OTHERS_MS));
    }
  }

  /**
   * Executes an operation when it is its person's turn. If too many of theirs are waiting, the result is an error.
   * Small mutations do not wait: they have rates of their own.
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
      // First: those that wait for each other take no turns of small queries.
      if (isLarge) leave.push(await large.enter(key));
      if (type === 'query') leave.push(await queries.enter(key));
    } catch (error) {
      for (const end of leave) end();
      const refused = new GraphQLError((error as Error).message, { originalError: error as Error });
      return { errors: [refused] } satisfies ExecutionResult as unknown as Result;
    }
    try {
      // Small queries are not charged: the node may be busy with other work, such as receiving requests of other users.
      if (isLarge) await whenPaid(key);
      const end = loopTime.begin(WEIGHT_BASE + cost);
      try {
        return await work();
      } finally {
        const ms = end();
        if (isLarge) shares.spend(key, ms);
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
      if (key !== undefined) noteUseBy(key);
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
