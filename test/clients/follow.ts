import type { DocumentNode } from 'graphql';
import { retryDelay, type Session } from './session.js';

/** A document of the generated `graphql()`, which carries the types of its result and variables. */
type TypedDocument<Data, Variables> = DocumentNode & { __apiType?: (variables: Variables) => Data };

/** The result of an operation: data, or errors (an empty list if the server could not be reached). */
export interface Answer<Data> {
  data?: Data | null | undefined;
  errors?: readonly { extensions?: Record<string, unknown> }[] | undefined;
}

/** The client that `follow` uses: see `apolloAsking` and `urqlAsking`. Neither function throws or rejects. */
export interface Asking {
  /** Queries the server and bypasses the cache. */
  query<Data, Variables>(document: TypedDocument<Data, Variables>, variables: Variables): Promise<Answer<Data>>;
  /** @returns a function that ends the subscription. */
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
  /** Fetches the initial state. The query must also select `viewer { syncCursor }`. */
  snapshot: { query: TypedDocument<Snapshot, SnapshotVariables>; variables: SnapshotVariables };
  /** A subscription with the variable `$after` that selects `cursor`, `changeSeq` and `message { conversation { id } }`. */
  stream: {
    query: TypedDocument<Data, StreamVariables>;
    variables: StreamVariables;
    event: (data: Data) => Event;
  };
  /** Called at the start, and again after `CURSOR_EXPIRED`. The snapshot replaces everything that was shown. */
  onSnapshot(snapshot: Snapshot): void;
  /** Called once for each change since the snapshot, in order, and also for CAUGHT_UP and CHECKPOINT. */
  onEvent(event: Event): void;
  /** Called when retrying cannot help: the session has ended, or the user may not (or no longer) read this. */
  onEnd(errors: NonNullable<Answer<unknown>['errors']>): void;
}

/** Error codes after which a retry would fail in the same way. */
const finalCodes: unknown[] = ['FORBIDDEN', 'NOT_FOUND', 'BAD_USER_INPUT'];

/**
 * Fetches a snapshot and then follows its changes. After every failure it resumes from the last cursor, until the
 * returned function is called or `onEnd` reports that retrying cannot help.
 */
export function follow<
  Snapshot extends { viewer?: { syncCursor: string } | null },
  A,
  Data,
  B,
  Event extends StreamEvent,
>(client: Asking, { session, snapshot, stream, ...on }: Following<Snapshot, A, Data, B, Event>): () => void {
  let cursor: string | undefined;
  /** The last `changeSeq` of each conversation. An event with the same or a lower number is a repetition. */
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
