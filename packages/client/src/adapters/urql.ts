import { type Exchange, subscriptionExchange } from '@urql/core';
import type { ParleyError } from '../errors.js';
import type { Parley } from '../parley.js';
import { indexFor, type MessageEvent } from './lists.js';
import { type AdapterOptions, execute, followStream } from './stream.js';

export type { MessageEvent } from './lists.js';
export type { AdapterOptions } from './stream.js';

/**
 * The last exchange of a urql client, in place of `fetchExchange` and `subscriptionExchange`. It sends everything through
 * a client of Parley: queries and mutations over HTTP, and subscriptions over its WebSocket. Tokens are renewed, and
 * durable streams resume.
 */
export function parleyExchange(parley: Parley, options: AdapterOptions = {}): Exchange {
  return subscriptionExchange({
    enableAllOperations: true,
    forwardSubscription: ({ query = '', variables }, { kind }) => ({
      subscribe(sink) {
        const fail = (error: ParleyError) =>
          error.errors.length === 0 ? sink.error(error) : sink.next({ errors: error.errors as never, data: null });
        const given = (variables ?? {}) as Record<string, unknown>;
        if (kind === 'subscription') {
          const follower = {
            next: (data: Record<string, unknown>) => sink.next({ data }),
            error(error: ParleyError) {
              fail(error);
              sink.complete();
            },
            complete: () => sink.complete(),
          };
          return { unsubscribe: followStream(parley, query, given, follower, options) };
        }
        let isEnded = false;
        execute(parley, query, given).then(
          (result) => {
            if (isEnded) return;
            sink.next(result as never);
            sink.complete();
          },
          (error) => {
            if (!isEnded) fail(error);
          },
        );
        return {
          unsubscribe() {
            isEnded = true;
          },
        };
      },
    }),
  });
}

/**
 * The functions of the cache of `@urql/exchange-graphcache` that `writeEvent` uses. An entity is an object or its key.
 */
interface GraphCache {
  keyOfEntity(entity: object): string | null;
  inspectFields(entity: object | string): { fieldName: string; fieldKey: string }[];
  resolve(entity: object | string, field: string): unknown;
  link(entity: object | string, field: string, link: readonly string[]): void;
  invalidate(entity: object): void;
}

/**
 * Writes an event of the stream `messages` into the lists of messages that the cache of `@urql/exchange-graphcache`
 * contains: `messages { nodes }` of the conversation. A new message is inserted by its `seq`, unless it is outside of what
 * a list contains; an erased one is removed. Call it in `updates: { Subscription: { messages: … } }`. The event has to
 * select `message { id seq conversation { id } }` and `messageId`. Where a list does not select `conversation { id }` of its
 * messages, the queries that show an erased one are fetched again.
 */
export function writeEvent(given: object, { message, messageId }: MessageEvent): void {
  const cache = given as GraphCache;
  if (!message) {
    if (!messageId) return;
    const erased = { __typename: 'Message', id: messageId };
    const key = cache.keyOfEntity(erased);
    const inside = cache.resolve(erased, 'conversation') as string | null | undefined;
    for (const [list, nodes] of inside ? listsOf(cache, inside) : []) {
      cache.link(
        list,
        'nodes',
        nodes.filter((node) => node !== key),
      );
    }
    cache.invalidate(erased);
    return;
  }
  const { seq, clientMessageId } = message;
  const conversation = { __typename: 'Conversation', id: message.conversation.id };
  const added = cache.keyOfEntity({ __typename: 'Message', id: message.id });
  for (const [list, nodes] of listsOf(cache, conversation)) {
    if (!added || nodes.includes(added)) continue;
    const isSame = (node: string) =>
      clientMessageId != null && cache.resolve(node, 'clientMessageId') === clientMessageId;
    const others = nodes.filter((node) => !isSame(node));
    const pageInfo = cache.resolve(list, 'pageInfo') as string | undefined;
    const hasLater = pageInfo ? cache.resolve(pageInfo, 'hasNextPage') === true : false;
    const seqs = others.map((node) => cache.resolve(node, 'seq') as number);
    const index = indexFor(seqs, seq, hasLater);
    if (index !== undefined) cache.link(list, 'nodes', [...others.slice(0, index), added, ...others.slice(index)]);
  }
}

/** The lists of messages of a conversation, with the keys of their messages. */
function listsOf(cache: GraphCache, conversation: object | string): [list: string, nodes: string[]][] {
  const fields = cache.inspectFields(conversation).filter(({ fieldName }) => fieldName === 'messages');
  return fields.flatMap(({ fieldKey }) => {
    const list = cache.resolve(conversation, fieldKey) as string | null | undefined;
    const nodes = list ? (cache.resolve(list, 'nodes') as string[] | null | undefined) : undefined;
    return list && nodes ? [[list, nodes]] : [];
  });
}
