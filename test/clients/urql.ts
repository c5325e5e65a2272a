import { type Client, cacheExchange, createClient, fetchExchange, subscriptionExchange } from '@urql/core';
import type { Client as Socket } from 'graphql-ws';
import { isUnauthenticated, type Session } from './session.js';

/** urql for a Parley server: queries and mutations over HTTP, subscriptions over the socket. */
export function createUrql(session: Session, socket: Socket): Client {
  return createClient({
    url: session.url,
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
