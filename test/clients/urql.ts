import {
  type AnyVariables,
  type Client,
  type CombinedError,
  cacheExchange,
  createClient,
  fetchExchange,
  subscriptionExchange,
} from '@urql/core';
import type { Client as Socket } from 'graphql-ws';
import type { Asking } from './follow.js';
import { isUnauthenticated, type Session } from './session.js';

/** urql for a Parley server: queries and mutations over HTTP, subscriptions over the socket. */
export function createUrql(session: Session, socket: Socket): Client {
  return createClient({
    url: session.url,
    // A GET would need a header that keeps foreign pages off.
    preferGetMethod: false,
    fetch: authorizedFetch(session),
    exchanges: [
      cacheExchange,
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query, variables: variables ?? {} }, sink as never),
          }),
        }),
      }),
    ],
  });
}

/** `fetch` with the session's token; where that is refused, once more with a new one. */
function authorizedFetch(session: Session): typeof fetch {
  return async (input, init) => {
    const send = () => {
      const headers = new Headers(init?.headers);
      if (session.accessToken) headers.set('authorization', `Bearer ${session.accessToken}`);
      return fetch(input, { ...init, headers });
    };
    const token = session.accessToken;
    const response = await send();
    const { errors } = await response.clone().json();
    return isUnauthenticated(errors) && (await session.renew(token)) ? send() : response;
  };
}

/** urql for `follow`. */
export function urqlAsking(urql: Client): Asking {
  const errorsOf = (error: CombinedError | undefined) => error && { errors: error.graphQLErrors };
  return {
    async query(document, variables) {
      const options = { requestPolicy: 'network-only' } as const;
      const { data, error } = await urql.query(document, variables as AnyVariables, options).toPromise();
      return { data: data as never, ...errorsOf(error) };
    },
    subscribe(document, variables, onAnswer, onComplete) {
      return urql.subscription(document, variables as AnyVariables).subscribe(({ data, error, hasNext }) => {
        // The last result says only that it is the last, and repeats the one before.
        if (!error && !hasNext) onComplete();
        else onAnswer({ data: data as never, ...errorsOf(error) });
      }).unsubscribe;
    },
  };
}
