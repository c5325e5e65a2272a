import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
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

/** One answer to an event, for everyone who gets the same: worked out once, written as JSON once. */
export class Answer {
  /** Undefined while it is being worked out. Its errors are as they were thrown. */
  result: ExecutionResult | undefined;
  /** When what it tells of was committed (`Delivery.committedAt`). */
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
    for (const tell of this.#waiting ?? []) tell();
    this.#waiting = undefined;
  }

  /** Calls once it is worked out. */
  whenReady(tell: () => void): void {
    if (this.result) tell();
    else {
      this.#waiting ??= [];
      this.#waiting.push(tell);
    }
  }

  /**
   * The answer as a WebSocket frame, a character a byte: this, then the id of the operation (of so many bytes), then
   * `tail`. To be asked for when it is ready.
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

  /** The result for yoga, which presents errors itself and takes a text in place of its own serialization. */
  get withJson(): ExecutionResult {
    const result = this.result ?? {};
    return result.errors ? result : { ...result, ...{ stringify: () => this.json } };
  }

  /** The answer as clients get it. To be asked for when it is ready. */
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
      // What a scalar made of a value is no JSON.
      return JSON.stringify({ errors: [presentError(error, this.#log)] });
    }
  }
}

/** RFC 6455, section 5.2: what begins an unmasked text frame that is whole, a character a byte. */
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

/** Longest values of variables that stand in the key of a group as they are. */
const KEY_MAX_CHARS = 200;

const BEFORE_ID = '{"id":"';

const isPromise = <Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> =>
  typeof (value as { then?: unknown }).then === 'function';

/** Subscriptions whose answers to the same event are the same for viewers with the same key. */
interface Group {
  readonly key: string;
  /** The field that is subscribed to. */
  readonly field: string;
  readonly plan: SharingPlan;
  members: number;
  /** The newest event that was answered: it is asked for by one subscriber after another. */
  latest: { event: object; answer: Answer } | undefined;
  /** By event and, there, by the viewers' key: as long as somebody holds the event. */
  readonly answers: WeakMap<object, Map<string, Answer>>;
}

interface Planned {
  number: number;
  plan: SharingPlan;
  field: string;
}

/** A subscriber's stream, whose answers are shared with all who would get the same. */
export class SharedSubscription {
  readonly stream: EventSource<object>;
  readonly #args: ExecutionArgs;
  readonly #group: Group;
  readonly #log: Logger;
  readonly #counts: SubscriptionCounts;
  /** Whose statements its answers are. */
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

  /** Calls once, however the stream ends; at once if it has ended. For one caller. */
  whenClosed(tell: () => void): void {
    if (this.#isClosed) tell();
    else this.#onClosed = tell;
  }

  /** For who opened it: the stream has ended. */
  closed(): void {
    this.#isClosed = true;
    this.#onClosed?.();
  }

  /** The answer to an event of the stream. */
  answerTo(event: object): Answer {
    const group = this.#group;
    const { answers, plan, latest } = group;
    if (latest?.event === event && plan.forAll) return latest.answer;
    let shared = answers.get(event);
    if (!shared) {
      shared = new Map();
      answers.set(event, shared);
    }
    const viewers = plan.keyOf(event, this.stream.userId);
    let answer = shared.get(viewers);
    if (!answer) {
      // What others get as well waits for nobody's statements; what only they get waits for their own.
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

  /** For who reads it: it has failed with this error. */
  failed(error: unknown): void {
    this.#counts.onErrors([error]);
  }

  #execute(event: object): ExecutionResult | PromiseLike<ExecutionResult> {
    const { schema, document, variableValues, operationName, contextValue } = this.#args;
    try {
      // A context of its own, for what resolvers remember by it is true of one moment.
      const context = { ...(contextValue as Context) };
      return execute({ schema, document, variableValues, operationName, rootValue: event, contextValue: context });
    } catch (error) {
      return { errors: [presentError(error, this.#log)] };
    }
  }
}

/** What is counted of subscriptions. */
export interface SubscriptionCounts {
  /** Answers that were worked out: each for all who get the same. */
  answers: number;
  /** Answers that went out over SSE, and the streams that are open there. */
  deliveredOverSse: number;
  openOverSse: number;
  /** Streams over SSE that ended because nobody read them. */
  cutOffOverSse: number;
  /** An answer has errors, or a stream has ended with one. */
  onErrors(errors: readonly unknown[]): void;
  /** An answer is given over SSE. */
  onTurn(answer: Answer | undefined): void;
}

export interface Subscriptions {
  /** Begins a subscription (GraphQL's `subscribe`, of a valid operation); an answer with errors where it could not. */
  open(args: ExecutionArgs): Promise<SharedSubscription | ExecutionResult>;
  /** Groups of equal subscriptions at present. */
  readonly groups: number;
  /** The streams that are open, and the field that each is of. */
  readonly streams: ReadonlyMap<EventSource<object>, string>;
  readonly counts: SubscriptionCounts;
}

/**
 * Runs subscriptions so that what is the same for several subscribers is worked out once: one execution and one
 * serialization for each event and group of equal subscriptions, and there for each value of what depends on the
 * viewer (graphql/sharing.ts).
 */
export function createSubscriptions(
  log: Logger,
  { onErrors = () => {}, onTurn = () => {} }: Partial<Pick<SubscriptionCounts, 'onErrors' | 'onTurn'>> = {},
): Subscriptions {
  const groups = new Map<string, Group>();
  const streams = new Map<EventSource<object>, string>();
  const counts: SubscriptionCounts = {
    answers: 0,
    deliveredOverSse: 0,
    openOverSse: 0,
    cutOffOverSse: 0,
    onErrors,
    onTurn,
  };
  /** By the document's identity, for parsing is cached by its text; then by operation. */
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
    // A variable that is absent is not one that is null.
    const values = JSON.stringify(plan.variables.map((name) => (Object.hasOwn(given, name) ? [given[name]] : [])));
    // Hashed: values may be as long as a client likes.
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
        throw new Error('a subscription of a stream of no known sort');
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

/** The answers of a shared subscription one after another, for a transport that asks for each. */
export function oneByOne(
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
      const { value: event, done } = await stream.next().catch((error: unknown) => {
        subscription.failed(error);
        throw error;
      });
      if (done) return { value: undefined, done: true };
      const answer = subscription.answerTo(event);
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
