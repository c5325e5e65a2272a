import { graphql } from './generated';

graphql(`
  fragment MessageFields on Message {
    __typename
    id
    seq
    text
    clientMessageId
    conversation {
      __typename
      id
    }
    sender {
      __typename
      id
      displayName
    }
  }
`);

/** The messages of the latest conversation, and the cursor from which the stream continues. */
export const Opening = graphql(`
  query Opening {
    viewer {
      __typename
      id
      syncCursor
      conversations(first: 1) {
        nodes {
          __typename
          id
          messages(last: 50) {
            nodes {
              ...MessageFields
            }
          }
        }
      }
    }
  }
`);

export const Messages = graphql(`
  subscription Messages($after: String) {
    messages(after: $after) {
      type
      cursor
      changeSeq
      messageId
      message {
        ...MessageFields
      }
    }
  }
`);

export const SendMessage = graphql(`
  mutation SendMessage($input: SendMessageInput!) {
    sendMessage(input: $input) {
      message {
        ...MessageFields
      }
    }
  }
`);
