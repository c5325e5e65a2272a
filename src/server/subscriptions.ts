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
import type { Logger } from '../infra/log.js';
import { ChangeStream } from '../realtime/change-stream.js';
import { type EventSource, LiveStream } from '../realtime/live-stream.js';

/** One answer to an event, for everyone who gets the same: worked out once, written as JSON once. */
export class Answer {
  /** Undefined while it is being worked out. Its errors are as they were thrown. */
  result: ExecutionResult | undefined;
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

const BEFORE_ID = '{"id":"';

const isPromise = <Value>(value: Value | PromiseLike<Value>): value is PromiseLike<Value> =>
  typeof (value as { then?: unknown }).then === 'function';

/** Subscriptions whose answers to the same event are the same for viewers with the same key. */
interface Group {
  readonly key: string;
  readonly plan: SharingPlan;
  members: number;
  /** The newest event that was answered: it is asked for by one subscriber after another. */
  latest: { event: object; answer: Answer } | undefined;
  /** By event and, there, by the viewers' key: as long as somebody holds the event. */
  readonly answers: WeakMap<object, Map<string, Answer>>;
}

/** A subscriber's stream, whose answers are shared with all who would get the same. */
export class SharedSubscription {
  readonly stream: EventSource<object>;
  readonly #args: ExecutionArgs;
  readonly #group: Group;
  readonly #log: Logger;
  #onClosed: (() => void) | undefined;
  #isClosed = false;

  constructor(stream: EventSource<object>, args: ExecutionArgs, group: Group, log: Logger) {
    this.stream = stream;
    this.#args = args;
    this.#group = group;
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
      answer = new Answer(this.#execute(event), this.#log);
      shared.set(viewers, answer);
    }
    if (plan.forAll) group.latest = { event, answer };
    return answer;
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

export interface Subscriptions {
  /** Begins a subscription (GraphQL's `subscribe`, of a valid operation); an answer with errors where it could not. */
  open(args: ExecutionArgs): Promise<SharedSubscription | ExecutionResult>;
  /** Groups of equal subscriptions at present. */
  readonly groups: number;
}

/**
 * Runs subscriptions so that what is the same for several subscribers is worked out once: one execution and one
 * serialization for each event and group of equal subscriptions, and there for each value of what depends on the
 * viewer (graphql/sharing.ts).
 */
export function createSubscriptions(log: Logger): Subscriptions {
  const groups = new Map<string, Group>();
  /** By the document's identity, for parsing is cached by its text; then by operation. */
  const plans = new WeakMap<DocumentNode, Map<OperationDefinitionNode, { number: number; plan: SharingPlan }>>();
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
      known = { number: planned, plan: planSharing(schema, document, operation) };
      ofDocument.set(operation, known);
    }
    return known;
  }

  function groupOf(args: ExecutionArgs): Group {
    const { number, plan } = planOf(args);
    const given = args.variableValues ?? {};
    // A variable that is absent is not one that is null.
    const key = `${number} ${JSON.stringify(plan.variables.map((name) => (name in given ? [given[name]] : [])))}`;
    let group = groups.get(key);
    if (!group) {
      group = { key, plan, members: 0, latest: undefined, answers: new WeakMap() };
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
      const subscription = new SharedSubscription(stream as EventSource<object>, args, group, log);
      stream.whenClosed(() => {
        group.members -= 1;
        if (group.members === 0) groups.delete(group.key);
        subscription.closed();
      });
      return subscription;
    },
    get groups() {
      return groups.size;
    },
  };
}

/** The answers of a shared subscription one after another, for a transport that asks for each. */
export function oneByOne(
  subscription: SharedSubscription,
  onClosed: () => void,
): AsyncIterableIterator<ExecutionResult> {
  const { stream } = subscription;
  subscription.whenClosed(onClosed);
  return {
    async next() {
      const { value: event, done } = await stream.next();
      if (done) return { value: undefined, done: true };
      const answer = subscription.answerTo(event);
      if (!answer.result) await new Promise<void>((resolve) => answer.whenReady(resolve));
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
