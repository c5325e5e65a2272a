import { type ApolloCache, ApolloLink } from '@apollo/client';
import type { Reference } from '@apollo/client/cache';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { print } from '@apollo/client/utilities';
import { Observable } from 'rxjs';
import type { GraphQLErrorLike } from '../errors.js';
import type { Parley } from '../parley.js';
import { indexFor, type MessageEvent } from './lists.js';
import { type AdapterOptions, execute, followStream } from './stream.js';

export type { MessageEvent } from './lists.js';
export type { AdapterOptions } from './stream.js';

/** The object types that implement each interface, for `new InMemoryCache({ possibleTypes })`. */
export const possibleTypes: Record<string, string[]> = {
  Node: [
    'Attachment',
    'Call',
    'Conversation',
    'Device',
    'Draft',
    'Membership',
    'Message',
    'Notification',
    'PushSubscription',
    'Session',
    'Status',
    'Summary',
    'User',
    'Viewer',
  ],
};

/**
 * The link of an Apollo Client that sends everything through a client of Parley: queries and mutations over HTTP, and
 * subscriptions over its WebSocket. Tokens are renewed, and durable streams resume. It is the last link of a chain.
 *
 * If a stream cannot resume, the active queries are fetched again, unless there is `onExpired`.
 */
export function parleyLink(parley: Parley, options: AdapterOptions = {}): ApolloLink {
  return new ApolloLink(
    ({ query, variables, operationType, client }) =>
      new Observable((observer) => {
        const document = print(query);
        if (operationType !== 'subscription') {
          execute(parley, document, variables).then(
            (result) => {
              observer.next(result as ApolloLink.Result);
              observer.complete();
            },
            (error) => observer.error(error),
          );
          return undefined;
        }
        const onExpired = options.onExpired ?? (() => void client.refetchQueries({ include: 'active' }));
        const sink = {
          next: (data: Record<string, unknown>) => observer.next({ data }),
          error: (error: Error & { errors: readonly GraphQLErrorLike[] }) =>
            observer.error(
              error.errors.length === 0
                ? error
                : new CombinedGraphQLErrors({ errors: error.errors as never, data: null }),
            ),
          complete: () => observer.complete(),
        };
        return followStream(parley, document, variables, sink, { onExpired });
      }),
  );
}

/**
 * Writes an event of the stream `messages` into the lists of messages that the cache contains: `messages` of the
 * conversation, as `nodes` or `edges`. A new message is inserted by its `seq`, unless it is outside of what a list
 * contains; an erased one is removed. The message itself is in the cache already, as Apollo Client stores every object
 * of a subscription by its id: the event has to select `message { id seq conversation { id } }` and `messageId`.
 */
export function writeEvent(cache: ApolloCache, { message, messageId }: MessageEvent): void {
  if (!message) {
    const id = messageId ? cache.identify({ __typename: 'Message', id: messageId }) : undefined;
    if (id === undefined) return;
    cache.evict({ id });
    cache.gc();
    return;
  }
  const conversation = cache.identify({ __typename: 'Conversation', id: message.conversation.id });
  const messageRef = cache.identify({ __typename: 'Message', id: message.id });
  if (conversation === undefined || messageRef === undefined) return;
  const added: Reference = { __ref: messageRef };
  cache.modify<Record<string, Connection>>({
    id: conversation,
    fields: {
      messages(list, { readField, isReference }) {
        if (!list || isReference(list)) return list;
        const seqOf = (node: Reference | undefined) => readField<number>('seq', node) ?? 0;
        const isSame = (node: Reference | undefined) =>
          readField('id', node) === message.id ||
          (message.clientMessageId != null && readField('clientMessageId', node) === message.clientMessageId);
        const hasLater = list.pageInfo?.hasNextPage ?? false;
        const nodes = inserted(list.nodes, (node) => node, added);
        const edges = inserted(list.edges, ({ node }) => node, { __typename: 'MessageEdge', cursor: '', node: added });
        return { ...list, ...(nodes && { nodes }), ...(edges && { edges }) };

        function inserted<Item>(items: readonly Item[] | undefined, nodeOf: (item: Item) => Reference, item: Item) {
          if (!items || items.some((each) => readField('id', nodeOf(each)) === message?.id)) return items;
          const others = items.filter((each) => !isSame(nodeOf(each)));
          const seqs = others.map((each) => seqOf(nodeOf(each)));
          const index = indexFor(seqs, message?.seq ?? 0, hasLater);
          return index === undefined ? items : [...others.slice(0, index), item, ...others.slice(index)];
        }
      },
    },
  });
}

interface Connection {
  nodes?: readonly Reference[];
  edges?: readonly { __typename: string; cursor: string; node: Reference }[];
  pageInfo?: { hasNextPage?: boolean };
}
