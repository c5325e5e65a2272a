import {
  ConnectionHandler,
  type INetwork,
  Network,
  Observable,
  type RecordProxy,
  type RecordSourceSelectorProxy,
} from 'relay-runtime';
import type { GraphQLErrorLike, ParleyError } from '../errors.js';
import type { Parley } from '../parley.js';
import { indexFor } from './lists.js';
import { type AdapterOptions, execute, followStream } from './stream.js';

export type { AdapterOptions } from './stream.js';

/**
 * The network of a Relay environment that sends everything through a client of Parley: queries and mutations over HTTP,
 * and subscriptions over its WebSocket. Tokens are renewed, and durable streams resume.
 */
export function parleyNetwork(parley: Parley, options: AdapterOptions = {}): INetwork {
  return Network.create(
    async ({ text }, variables) => (await execute(parley, text ?? '', variables)) as never,
    ({ text }, variables) =>
      Observable.create((sink) => {
        const follower = {
          next: (data: Record<string, unknown>) => sink.next({ data } as never),
          error: (error: ParleyError) => sink.error(error),
          complete: () => sink.complete(),
        };
        return followStream(parley, text ?? '', variables, follower, options);
      }),
  );
}

/** The code of a failed request or stream, such as `FORBIDDEN`; undefined if no response was received. */
export function errorCode(error: unknown): string | undefined {
  const { code, source } = error as { code?: string; source?: { errors?: GraphQLErrorLike[] } };
  return (source?.errors?.[0]?.extensions?.['code'] as string | undefined) ?? code;
}

/**
 * Writes an event of the stream `messages` into a connection: call it in the `updater` of the subscription. A new message
 * is inserted by its `seq`, unless it is outside of what the connection contains; an erased one is removed. The event has
 * to select `messageId` and `message { id seq conversation { id } }`, and the connection `conversation { id }` of its nodes.
 * Relay itself stores what changed in a message.
 * @param key the key of the connection, as in `@connection(key: "Chat_messages")`.
 */
export function writeEvent(store: RecordSourceSelectorProxy, key: string, field = 'messages'): void {
  const event = store.getRootField(field) as RecordProxy | null;
  const message = event?.getLinkedRecord('message');
  const messageId = event?.getValue('messageId');
  if (!message) {
    if (typeof messageId !== 'string') return;
    const inside = store.get(messageId)?.getLinkedRecord('conversation');
    const shown = inside && ConnectionHandler.getConnection(inside, key);
    if (shown) ConnectionHandler.deleteNode(shown, messageId);
    store.delete(messageId);
    return;
  }
  const conversationId = message.getLinkedRecord('conversation')?.getDataID();
  const conversation = conversationId === undefined ? undefined : store.get(conversationId);
  const connection = conversation && ConnectionHandler.getConnection(conversation, key);
  if (!connection) return;
  const edges = connection.getLinkedRecords('edges') ?? [];
  const nodeOf = (edge: RecordProxy | null) => edge?.getLinkedRecord('node');
  if (edges.some((edge) => nodeOf(edge)?.getDataID() === message.getDataID())) return;
  const clientMessageId = message.getValue('clientMessageId');
  const others = edges.filter(
    (edge) => clientMessageId == null || nodeOf(edge)?.getValue('clientMessageId') !== clientMessageId,
  );
  const seqs = others.map((edge) => Number(nodeOf(edge)?.getValue('seq')));
  const hasLater = connection.getLinkedRecord('pageInfo')?.getValue('hasNextPage') === true;
  const index = indexFor(seqs, Number(message.getValue('seq')), hasLater);
  if (index === undefined) return;
  const edge = ConnectionHandler.createEdge(store, connection, message, 'MessageEdge');
  connection.setLinkedRecords([...others.slice(0, index), edge, ...others.slice(index)], 'edges');
}
