import { encodeGlobalId } from '../core/ids.js';
import type { Change } from '../realtime/change.js';
import type { Signal, StreamEvent } from '../realtime/change-stream.js';
import { builder } from './builder.js';
import { shared } from './sharing.js';

/** The fields that events of all durable streams have. Their values are the same for all viewers. */
const commonFields = ['type', 'cursor', 'changeSeq', 'replayed'];

/** The change of an event; undefined for CAUGHT_UP and CHECKPOINT. */
export const changeOf = <Type extends string, Data>(event: StreamEvent<Type, Data>): Change<Data> | undefined =>
  'change' in event ? event.change : undefined;

/** The global id of the conversation of an event; null for CAUGHT_UP and CHECKPOINT. */
export function conversationIdOf(event: StreamEvent<string, unknown>): string | null {
  const change = changeOf(event);
  return change ? encodeGlobalId('Conversation', change.conversationId) : null;
}

/**
 * Defines the type of the events of a durable stream with the fields that all of them have, except for `type`, which
 * `defineEventTypes` adds. Features add the other fields.
 */
export function defineStreamEvent<Event extends StreamEvent<string, unknown>>(
  name: string,
  options: {
    description: string;
    /** The description of `changeSeq`. */
    changeSeq: string;
    /** A further sentence in the description of `replayed`. */
    replayed?: string;
    /** The names of the event's other fields that are the same for all viewers. */
    shared?: readonly string[];
  },
) {
  return builder.objectRef<Event>(name).implement({
    description: options.description,
    extensions: shared(...commonFields, ...(options.shared ?? [])),
    fields: (t) => ({
      cursor: t.string({
        nullable: false,
        description:
          'The position in the stream after this event. Store the latest one and pass it as `after` to resume.',
        resolve: ({ cursor }) => cursor,
      }),
      changeSeq: t.int({
        description: `${options.changeSeq} It is null for CAUGHT_UP and CHECKPOINT.`,
        resolve: (event) => changeOf(event)?.changeSeq ?? null,
      }),
      replayed: t.boolean({
        nullable: false,
        description: ['True for changes that were missed, which are delivered before CAUGHT_UP.', options.replayed]
          .filter((sentence) => sentence !== undefined)
          .join(' '),
        resolve: ({ replayed }) => replayed,
      }),
    }),
  });
}

type StreamEventRef<Event> = ReturnType<ReturnType<typeof builder.objectRef<Event>>['implement']>;
type Described = Readonly<Record<string, { description: string }>>;

/** Adds the field `type` to an event, with an enum of the types of changes, CAUGHT_UP and CHECKPOINT. */
export function defineEventTypes<Event extends StreamEvent<string, unknown>>(
  event: StreamEventRef<Event>,
  name: string,
  options: {
    /** The description of the value. */
    description: string;
    values: Described;
    /** A further sentence in the description of CAUGHT_UP. */
    caughtUp?: string;
  },
): void {
  const signals: Record<Signal['type'], { description: string }> = {
    CAUGHT_UP: {
      description: ['All missed events have been delivered. The following events are live.', options.caughtUp]
        .filter((sentence) => sentence !== undefined)
        .join(' '),
    },
    CHECKPOINT: { description: 'Nothing changed. The event only carries a newer cursor to store.' },
  };
  const values: Described = { ...options.values, ...signals };
  const type = builder.enumType(name, {
    description: `${options.description} Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway.`,
    values,
  });
  builder.objectField(event, 'type', (t) =>
    t.field({ type, nullable: false, description: 'The kind of change.', resolve: (parent) => parent.type }),
  );
}

/** The options that the subscription fields of all durable streams have. */
export const durableStream = <Event>(type: StreamEventRef<Event>, what: string) => ({
  type,
  nullable: false as const,
  description: `${what} With \`after\`, it delivers the missed changes first, then CAUGHT_UP, then live events. Without it, it begins with CAUGHT_UP.`,
  resolve: (event: Event) => event,
});

/** The argument with which a durable stream resumes. */
export const afterArg = builder.args((t) => ({
  after: t.string({ description: 'The cursor of an event of this stream, or `viewer.syncCursor`.' }),
}));
