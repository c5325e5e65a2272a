import type { DocumentNode } from 'graphql';
import { retryDelay, type Session } from './session.js';

/** What the generated `graphql()` gives: a document that knows its result and its variables. */
type TypedDocument<Data, Variables> = DocumentNode & { __apiType?: (variables: Variables) => Data };

/** What came of an operation: its data, or why there is none (an empty list where the server was not reached). */
export interface Answer<Data> {
  data?: Data | null | undefined;
  errors?: readonly { extensions?: Record<string, unknown> }[] | undefined;
}

/** What `follow` needs of a client: see `apolloAsking` and `urqlAsking`. Neither function rejects or throws. */
export interface Asking {
  /** Asks the server, not a cache. */
  query<Data, Variables>(document: TypedDocument<Data, Variables>, variables: Variables): Promise<Answer<Data>>;
  /** @returns what ends it. */
  subscribe<Data, Variables>(
    document: TypedDocument<Data, Variables>,
    variables: Variables,
    onAnswer: (answer: Answer<Data>) => void,
    onComplete: () => void,
  ): () => void;
}

export interface StreamEvent {
  cursor: string;
  changeSeq?: number | null;
  message?: { conversation: { id: string } } | null;
}

export interface Following<Snapshot, SnapshotVariables, Data, StreamVariables, Event extends StreamEvent> {
  session: Session;
  /** What is to be kept up to date; it selects `viewer { syncCursor }` beside it. */
  snapshot: { query: TypedDocument<Snapshot, SnapshotVariables>; variables: SnapshotVariables };
  /** It has the variable `$after`, and selects `cursor`, `changeSeq` and `message { conversation { id } }`. */
  stream: {
    query: TypedDocument<Data, StreamVariables>;
    variables: StreamVariables;
    event: (data: Data) => Event;
  };
  /** At the beginning, and again when too much was missed: it takes the place of all that was shown. */
  onSnapshot(snapshot: Snapshot): void;
  /** Each change once and in order, on top of the snapshot; CAUGHT_UP and CHECKPOINT too. */
  onEvent(event: Event): void;
  /** It is over for good: the session has ended, or what is asked is not for this person (any more). */
  onEnd(errors: NonNullable<Answer<unknown>['errors']>): void;
}

/** Codes after which asking again can only bring the same. */
const finalCodes: unknown[] = ['FORBIDDEN', 'NOT_FOUND', 'BAD_USER_INPUT'];

/**
 * Fetches what is shown, and then every change of it, whatever happens in between: until it is stopped (by calling
 * what is returned), or over for good, it comes back with the cursor that it had last.
 */
export function follow<
  Snapshot extends { viewer?: { syncCursor: string } | null },
  A,
  Data,
  B,
  Event extends StreamEvent,
>(client: Asking, { session, snapshot, stream, ...on }: Following<Snapshot, A, Data, B, Event>): () => void {
  let cursor: string | undefined;
  /** By conversation, the change that came last: what came before it has come, so it is a repeat. */
  const seen = new Map<string, number>();
  let failures = 0;
  let stopped = false;
  let leave = () => {};

  async function begin(): Promise<void> {
    if (cursor === undefined) {
      const { data, errors } = await client.query(snapshot.query, snapshot.variables);
      if (stopped) return;
      if (!data?.viewer || errors) return fail(errors ?? []);
      cursor = data.viewer.syncCursor;
      seen.clear();
      on.onSnapshot(data);
    }
    let over = false;
    const once = (errors: NonNullable<Answer<Data>['errors']>) => {
      if (!over && !stopped) fail(errors);
      over = true;
    };
    const unsubscribe = client.subscribe(
      stream.query,
      { ...stream.variables, after: cursor },
      ({ data, errors }) => {
        if (over || stopped) return;
        if (errors || !data) once(errors ?? []);
        else take(stream.event(data));
      },
      () => once([]),
    );
    leave = unsubscribe;
    if (stopped || over) unsubscribe();
  }

  function take(event: Event): void {
    failures = 0;
    cursor = event.cursor;
    const id = event.message?.conversation.id;
    if (id !== undefined && event.changeSeq != null) {
      if (event.changeSeq <= (seen.get(id) ?? 0)) return;
      seen.set(id, event.changeSeq);
    }
    on.onEvent(event);
  }

  function fail(errors: NonNullable<Answer<unknown>['errors']>): void {
    leave();
    const { code, retryAfterMs } = errors[0]?.extensions ?? {};
    if (finalCodes.includes(code) || session.accessToken === undefined) {
      stopped = true;
      on.onEnd(errors);
      return;
    }
    if (code === 'CURSOR_EXPIRED') cursor = undefined;
    const wait = Math.max(retryDelay(failures++), Number(retryAfterMs ?? 0));
    const timer = setTimeout(() => void begin(), wait);
    leave = () => clearTimeout(timer);
  }

  void begin();
  return () => {
    stopped = true;
    leave();
  };
}
