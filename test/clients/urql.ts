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

/** Creates a urql client that sends queries and mutations over HTTP, and subscriptions over the WebSocket. */
export function createUrql(session: Session, socket: Socket): Client {
  return createClient({
    url: session.url,
    // A GET request would need an additional header against cross-site request forgery.
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

/** `fetch` with the access token. If the server rejects it, the request is sent once more with a new token. */
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

/** Adapts urql for `follow`. */
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
        // The final result repeats the previous one and only reports that the stream has ended.
        if (!error && !hasNext) onComplete();
        else onAnswer({ data: data as never, ...errorsOf(error) });
      }).unsubscribe;
    },
  };
}
