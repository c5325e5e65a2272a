import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  type GraphQLError,
  getOperationAST,
  type OperationDefinitionNode,
} from 'graphql';
import type { Context } from '../graphql/context.js';
import { presentError } from '../graphql/errors.js';
import { planSharing, type SharingPlan } from '../graphql/sharing.js';
import { sha256 } from '../infra/auth/tokens.js';
import type { Logger } from '../infra/telemetry/log.js';
import { continuingRequest, currentRequest } from '../infra/telemetry/request.js';
import { ChangeStream, type Delivery } from '../realtime/change-stream.js';
import { type EventSource, LiveStream } from '../realtime/live-stream.js';
import { rootFieldOf } from './operations.js';

/** A response to an event, which is computed and serialized once for all subscribers that receive the same. */
export class Answer {
  /** The result, or undefined while it is being computed. Its errors have not been presented. */
  result: ExecutionResult | undefined;
  /** When the event was committed (`Delivery.committedAt`). */
  committedAt: number | undefined;
  readonly #log: Logger;
  #json: string | undefined;
  #tail: string | undefined;
  #head: { idLength: number; text: string } | undefined;
  #waiting: (() => void)[] | undefined;

  constructor(result: ExecutionResult | PromiseLike<ExecutionResult>, log: Logger) {
    this.#log = log;
    if (isPromise(result)) {
      result.then(
        (value) => this.#settle(value),
        (error: unknown) => this.#settle({ errors: [presentError(error, log)] }),
      );
    } else this.result = result;
  }

  #settle(result: ExecutionResult): void {
    this.result = result;
    for (const listener of this.#waiting ?? []) listener();
    this.#waiting = undefined;
  }

  /** Calls a function once the result is available. */
  whenReady(listener: () => void): void {
    if (this.result) listener();
    else {
      this.#waiting ??= [];
      this.#waiting.push(listener);
    }
  }

  /**
   * The first part of the response as a WebSocket frame, with one character per byte. The id of the operation and
   * `tail` follow. The result must be available.
   * @param idLength the length of the id in bytes.
   */
  head(idLength: number): string {
    if (this.#head?.idLength === idLength) return this.#head.text;
    const text = frameHeader(BEFORE_ID.length + idLength + this.tail.length) + BEFORE_ID;
    this.#head = { idLength, text };
    return text;
  }

  get tail(): string {
    this.#tail ??= Buffer.from(`","type":"next","payload":${this.json}}`).toString('latin1');
    return this.#tail;
  }

  /** The result for yoga, which calls `stringify` instead of its own serialization. */
  get withJson(): ExecutionResult {
    return { stringify: () => this.json } as ExecutionResult;
  }

  /** The response as JSON in the form that clients receive. The result must be available. */
  get json(): string {
    this.#json ??= this.#write();
    return this.#json;
  }

  #write(): string {
    const { data, errors } = this.result ?? {};
    try {
      if (!errors) return JSON.stringify(this.result);
      return JSON.stringify({ data, errors: errors.map((error) => presentError(error, this.#log)) });
    } catch (error) {
      // A scalar returned a value that cannot be serialized as JSON.
      return JSON.stringify({ errors: [presentError(error, this.#log)] });
    }
  }
}

/** The header of a single unmasked text frame (RFC 6455, section 5.2), with one character per byte. */
function frameHeader(length: number): string {
  if (length < 126) return String.fromCharCode(0x81, length);
  const head = Buffer.alloc(length < 65_536 ? 4 : 10, 0x81);
  if (head.length === 4) {
    head[1] = 126;
    head.writeUInt16BE(length, 2);
  } else {
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(length), 2);
  }
  return head.toString('latin1');
}

/** The maximum length of variables that are part of a group's key without hashing. */
const KEY_MAX_CHARS = 200;

const BEFORE_ID = '{"id":"';

const isPromise = <Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> =>
  typeof (value as { then?: unknown }).then === 'function';

/** Subscriptions with the same responses to an event for all viewers with the same sharing key. */
interface Group {
  readonly key: string;
  /** The subscription's root field. */
  readonly field: string;
  readonly plan: SharingPlan;
  members: number;
  /** The newest event with its response, which subscribers request one after another. */
  latest: { event: object; answer: Answer } | undefined;
  /** The responses by event and by sharing key, as long as a subscriber refers to the event. */
  readonly answers: WeakMap<object, Map<string, Answer>>;
}

interface Planned {
  number: number;
  plan: SharingPlan;
  field: string;
}

/** The stream of a subscriber, whose responses are shared with all subscribers that receive the same. */
export class SharedSubscription {
  readonly stream: EventSource<object>;
  readonly #args: ExecutionArgs;
  readonly #group: Group;
  readonly #log: Logger;
  readonly #counts: SubscriptionCounts;
  /** The request on whose behalf the statements for its responses are executed. */
  readonly #request = currentRequest();
  #onClosed: (() => void) | undefined;
  #isClosed = false;

  constructor(stream: EventSource<object>, args: ExecutionArgs, group: Group, counts: SubscriptionCounts, log: Logger) {
    this.stream = stream;
    this.#args = args;
    this.#group = group;
    this.#counts = counts;
    this.#log = log;
  }

  /** Calls a function once when the stream ends, whatever the reason, or immediately if it has ended. */
  whenClosed(listener: () => void): void {
    const others = this.#onClosed;
    if (this.#isClosed) listener();
    else
      this.#onClosed = others
        ? () => {
            others();
            listener();
          }
        : listener;
  }

  /** Reports that the stream has ended. It is called by the code that opened it. */
  closed(): void {
    this.#isClosed = true;
    this.#onClosed?.();
  }

  /**
   * The response to an event that was taken with `next()`. If the stream began with it, its processing time is charged to
   * the subscriber, who could otherwise cause any amount of it.
   */
  answerToNext(event: object): Answer {
    return this.stream.isBacklog(event) ? this.#backlogAnswerTo(event) : this.answerTo(event);
  }

  /** The response to an event of the stream. */
  answerTo(event: object): Answer {
    const group = this.#group;
    const { answers, plan, latest } = group;
    this.#counts.delivered(event, this.stream.userId);
    if (latest?.event === event && plan.forAll) return latest.answer;
    let shared = answers.get(event);
    if (!shared) {
      shared = new Map();
      answers.set(event, shared);
    }
    const viewers = plan.keyOf(event, this.stream.userId);
    let answer = shared.get(viewers);
    if (!answer) {
      // Shared responses do not wait for statements of one user; responses for one user only wait for that user's
      // statements.
      const isOwn = group.members === 1 || viewers === this.stream.userId;
      answer = continuingRequest(isOwn ? this.#request : undefined, () => this.#workOut(event));
      shared.set(viewers, answer);
    }
    if (plan.forAll) group.latest = { event, answer };
    return answer;
  }

  #workOut(event: object): Answer {
    const counts = this.#counts;
    const answer = new Answer(this.#execute(event), this.#log);
    answer.committedAt = (event as Partial<Delivery>).committedAt;
    counts.answers += 1;
    answer.whenReady(() => {
      if (answer.result?.errors) counts.onErrors(answer.result.errors);
    });
    return answer;
  }

  #backlogAnswerTo(event: object): Answer {
    const began = performance.now();
    const answer = this.answerTo(event);
    // Serialized now, because serialization is part of the charged time.
    if (answer.result) void answer.json;
    const { requester } = this.#args.contextValue as Context;
    const isService = requester !== null && !(requester instanceof Error) && requester.isService;
    if (!isService) this.#counts.charge(this.stream.userId, performance.now() - began);
    return answer;
  }

  /**
   * Counts an error that ended the stream, and returns it in the form that clients receive. The reader of the stream
   * must call it when the stream fails.
   */
  failed(error: unknown): GraphQLError {
    this.#counts.onErrors([error]);
    return presentError(error, this.#log);
  }

  #execute(event: object): ExecutionResult | PromiseLike<ExecutionResult> {
    const { schema, document, variableValues, operationName, contextValue } = this.#args;
    try {
      // Each event has a context of its own, because data that resolvers cache in it is only valid for one moment.
      const context = { ...(contextValue as Context) };
      return execute({ schema, document, variableValues, operationName, rootValue: event, contextValue: context });
    } catch (error) {
      return { errors: [presentError(error, this.#log)] };
    }
  }
}

/** Counters of subscriptions. */
export interface SubscriptionCounts {
  /** The number of computed responses. A shared response counts once. */
  answers: number;
  /** The number of responses that were sent over SSE, and the number of open SSE streams. */
  deliveredOverSse: number;
  openOverSse: number;
  /** The number of SSE streams that were ended because their clients did not read. */
  slowConsumersOverSse: number;
  /** Called when a response has errors, or a stream ended with an error. */
  onErrors(errors: readonly unknown[]): void;
  /** Called when a response is sent over SSE. */
  onTurn(answer: Answer | undefined): void;
  /** Reports that an event is delivered to a user. */
  delivered(event: object, userId: string): void;
  /** Charges processing time of the node to a user, in milliseconds. */
  charge(userId: string, ms: number): void;
}

export interface Subscriptions {
  /** Opens a valid subscription (GraphQL's `subscribe`). It returns a result with errors if that fails. */
  open(args: ExecutionArgs): Promise<SharedSubscription | ExecutionResult>;
  /** The number of groups of equal subscriptions. */
  readonly groups: number;
  /** The open streams with their root fields. */
  readonly streams: ReadonlyMap<EventSource<object>, string>;
  readonly counts: SubscriptionCounts;
}

/**
 * Runs subscriptions so that equal work is done once: one execution and one serialization per event and group of equal
 * subscriptions, and within a group per sharing key (graphql/sharing.ts).
 */
export function createSubscriptions(
  log: Logger,
  {
    onErrors = () => {},
    onTurn = () => {},
    onUse = () => {},
    charge = () => {},
  }: Partial<Pick<SubscriptionCounts, 'onErrors' | 'onTurn' | 'charge'>> & {
    /** Called with the users to whom an event is delivered: at least with two different ones if there are several. */
    onUse?: (userId: string) => void;
  } = {},
): Subscriptions {
  const groups = new Map<string, Group>();
  const streams = new Map<EventSource<object>, string>();
  const counts: SubscriptionCounts = {
    answers: 0,
    deliveredOverSse: 0,
    openOverSse: 0,
    slowConsumersOverSse: 0,
    onErrors,
    onTurn,
    delivered,
    charge,
  };
  /** The event that was delivered last, its first user, and whether another one is known as well. */
  let latest: { event: object; userId: string; hasOther: boolean } | undefined;
  function delivered(event: object, userId: string): void {
    if (latest?.event !== event) latest = { event, userId, hasOther: false };
    else if (latest.hasOther || latest.userId === userId) return;
    else latest.hasOther = true;
    onUse(userId);
  }

  /** By document object, because parsed documents are cached by their text, and then by operation. */
  const plans = new WeakMap<DocumentNode, Map<OperationDefinitionNode, Planned>>();
  let planned = 0;

  function planOf({ schema, document, operationName }: ExecutionArgs) {
    const operation = getOperationAST(document, operationName) as OperationDefinitionNode;
    let ofDocument = plans.get(document);
    if (!ofDocument) {
      ofDocument = new Map();
      plans.set(document, ofDocument);
    }
    let known = ofDocument.get(operation);
    if (!known) {
      planned += 1;
      const plan = planSharing(schema, document, operation);
      known = { number: planned, plan, field: rootFieldOf(operation) };
      ofDocument.set(operation, known);
    }
    return known;
  }

  function groupOf(args: ExecutionArgs): Group {
    const { number, plan, field } = planOf(args);
    const given = args.variableValues ?? {};
    // An absent variable is different from null.
    const values = JSON.stringify(plan.variables.map((name) => (Object.hasOwn(given, name) ? [given[name]] : [])));
    // Hashed, because values can be of any length.
    const key = `${number} ${values.length < KEY_MAX_CHARS ? values : Buffer.from(sha256(values)).toString('base64url')}`;
    let group = groups.get(key);
    if (!group) {
      group = { key, field, plan, members: 0, latest: undefined, answers: new WeakMap() };
      groups.set(key, group);
    }
    return group;
  }

  return {
    async open(args) {
      const stream = await createSourceEventStream(args);
      if (!(Symbol.asyncIterator in stream)) return stream;
      if (!(stream instanceof ChangeStream || stream instanceof LiveStream))
        throw new Error('a subscription without a stream of a known kind');
      const group = groupOf(args);
      group.members += 1;
      const subscription = new SharedSubscription(stream as EventSource<object>, args, group, counts, log);
      streams.set(subscription.stream, group.field);
      stream.whenClosed(() => {
        streams.delete(subscription.stream);
        group.members -= 1;
        if (group.members === 0) groups.delete(group.key);
        subscription.closed();
      });
      return subscription;
    },
    get groups() {
      return groups.size;
    },
    streams,
    counts,
  };
}

/** The responses of a shared subscription as an async iterator, for transports that request them one at a time. */
export function resultsOf(
  subscription: SharedSubscription,
  counts: SubscriptionCounts,
  onClosed: () => void,
): AsyncIterableIterator<ExecutionResult> {
  const { stream } = subscription;
  counts.openOverSse += 1;
  subscription.whenClosed(() => {
    counts.openOverSse -= 1;
    onClosed();
  });
  return {
    async next() {
      let read: IteratorResult<object>;
      try {
        read = await stream.next();
      } catch (error) {
        return { value: { errors: [subscription.failed(error)] }, done: false };
      }
      const { value: event, done } = read;
      if (done) return { value: undefined, done: true };
      const answer = subscription.answerToNext(event);
      if (!answer.result) await new Promise<void>((resolve) => answer.whenReady(resolve));
      counts.onTurn(answer);
      counts.deliveredOverSse += 1;
      return { value: answer.withJson, done: false };
    },
    async return() {
      await stream.return();
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
