import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { SetContextLink } from '@apollo/client/link/context';
import { ErrorLink } from '@apollo/client/link/error';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import type { Client } from 'graphql-ws';
import { from, of, switchMap } from 'rxjs';
import type { Asking } from './follow.js';
import { isUnauthenticated, type Session } from './session.js';

/** Creates an Apollo Client that sends queries and mutations over HTTP, and subscriptions over the WebSocket. */
export function createApollo(session: Session, socket: Client): ApolloClient {
  const authorization = new SetContextLink(({ headers }) => {
    const token = session.accessToken;
    return { token, headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) } };
  });
  const renewal = new ErrorLink(({ error, result, operation, forward }) => {
    const { token, renewed } = operation.getContext();
    if (!CombinedGraphQLErrors.is(error) || !isUnauthenticated(error.errors) || renewed || !result) return;
    operation.setContext({ renewed: true });
    return from(session.renew(token)).pipe(switchMap((again) => (again ? forward(operation) : of(result))));
  });
  return new ApolloClient({
    cache: new InMemoryCache({ possibleTypes }),
    link: ApolloLink.split(
      ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
      new GraphQLWsLink(socket),
      ApolloLink.from([renewal, authorization, new HttpLink({ uri: session.url })]),
    ),
  });
}

/** The object types that implement each interface. */
export const possibleTypes = {
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

/** Adapts Apollo Client for `follow`. */
export function apolloAsking(apollo: ApolloClient): Asking {
  const errorsOf = (error: unknown) => (error ? { errors: CombinedGraphQLErrors.is(error) ? error.errors : [] } : {});
  return {
    async query(query, variables) {
      const options = { query, variables, fetchPolicy: 'network-only', errorPolicy: 'all' } as never;
      const { data, error } = await apollo.query<never>(options);
      return { data, ...errorsOf(error) };
    },
    subscribe(query, variables, onAnswer, complete) {
      const subscription = apollo.subscribe<never>({ query, variables } as never).subscribe({
        next: ({ data, error }) => onAnswer({ data, ...errorsOf(error) }),
        error: (error) => onAnswer({ errors: [], ...errorsOf(error) }),
        complete,
      });
      return () => subscription.unsubscribe();
    },
  };
}
