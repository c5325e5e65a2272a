import {
  createOperationDescriptor,
  Environment,
  fetchQuery,
  graphql,
  type INetwork,
  RecordSource,
  requestSubscription,
  Store,
} from 'relay-runtime';
import { writeEvent } from '../../../../packages/client/src/adapters/relay.js';
import ChatQuery, { type chatQuery } from './__generated__/chatQuery.graphql.js';
import ChatSubscription, { type chatSubscription } from './__generated__/chatSubscription.graphql.js';

// The compiler reads these operations, and a plugin of the bundler would replace them with what it has written.
export const operations = () => [
  graphql`
    query chatQuery($id: ID!) {
      viewer {
        syncCursor
      }
      conversation(id: $id) {
        messages(last: 50) @connection(key: "chat_messages") {
          edges {
            node {
              id
              seq
              text
              clientMessageId
              conversation {
                id
              }
            }
          }
        }
      }
    }
  `,
  graphql`
    subscription chatSubscription($after: String) {
      messages(after: $after) {
        type
        cursor
        changeSeq
        messageId
        message {
          id
          seq
          text
          clientMessageId
          conversation {
            id
          }
        }
      }
    }
  `,
];

type Event = chatSubscription['response']['messages'];

export const createEnvironment = (network: INetwork): Environment =>
  new Environment({ network, store: new Store(new RecordSource()) });

/** Fetches a conversation from the server, and keeps it in the store. */
export async function load(environment: Environment, id: string): Promise<chatQuery['response']> {
  const data = await fetchQuery<chatQuery>(environment, ChatQuery, { id }, { fetchPolicy: 'network-only' }).toPromise();
  environment.retain(createOperationDescriptor(ChatQuery, { id }));
  if (!data) throw new Error('There is no response.');
  return data;
}

/** The texts of a conversation as they are in the store. */
export function textsOf(environment: Environment, id: string): (string | null)[] {
  const { data } = environment.lookup(createOperationDescriptor(ChatQuery, { id }).fragment);
  const { conversation } = data as chatQuery['response'];
  return conversation?.messages?.edges.map(({ node }) => node.text ?? null) ?? [];
}

/** Follows the changes of all conversations. */
export function follow(
  environment: Environment,
  after: string | undefined,
  onEvent: (event: Event) => void,
  onError: (error: Error) => void,
): () => void {
  const { dispose } = requestSubscription<chatSubscription>(environment, {
    subscription: ChatSubscription,
    variables: { after: after ?? null },
    updater: (store) => writeEvent(store, 'chat_messages'),
    onNext: (data) => {
      if (data) onEvent(data.messages);
    },
    onError,
  });
  return dispose;
}
