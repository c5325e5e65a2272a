import { graphql } from '../generated/index.js';

/** The operations of the test clients: documents with the types of their results and variables. */

export const MessageFields = graphql(`
  fragment MessageFields on Message {
    id
    seq
    kind
    text
    createdAt
    editedAt
    deletedAt
    clientMessageId
    sender {
      id
      username
    }
  }
`);

export const Register = graphql(`
  mutation Register($input: RegisterInput!) {
    register(input: $input) {
      tokens {
        accessToken
        refreshToken
      }
      viewer {
        id
        user {
          id
          username
        }
      }
    }
  }
`);

export const Me = graphql(`
  query Me {
    viewer {
      id
      email
      user {
        id
        username
        createdAt
      }
    }
  }
`);

export const OpenDirect = graphql(`
  mutation OpenDirect($input: OpenDirectConversationInput!) {
    openDirectConversation(input: $input) {
      conversation {
        id
        kind
      }
    }
  }
`);

export const History = graphql(`
  query History($id: ID!) {
    conversation(id: $id) {
      id
      latestSeq
      messages(last: 50) {
        nodes {
          ...MessageFields
        }
      }
    }
  }
`);

graphql(`
  fragment SummaryFields on Summary {
    id
    text
    fromSeq
    toSeq
    messageCount
    stale
    model
    highlights {
      text
      kind
      topic
      messages {
        id
        seq
      }
    }
  }
`);

/** The progress of a summary of the unread messages, and finally the summary. */
export const Summarize = graphql(`
  subscription Summarize($conversationId: ID!, $fromSeq: Int, $toSeq: Int) {
    summaryProgress(conversationId: $conversationId, fromSeq: $fromSeq, toSeq: $toSeq) {
      conversationId
      fromSeq
      toSeq
      progress
      summary {
        ...SummaryFields
      }
    }
  }
`);

export const Search = graphql(`
  query Search($query: String!, $conversationId: ID, $first: Int, $after: String) {
    searchMessages(query: $query, conversationId: $conversationId, first: $first, after: $after) {
      edges {
        cursor
        snippet
        node {
          ...MessageFields
          conversation {
            id
          }
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
`);

/** The messages that a chat shows, and the cursor from which the stream continues. */
export const Opening = graphql(`
  query Opening($id: ID!) {
    viewer {
      id
      syncCursor
    }
    conversation(id: $id) {
      id
      messages(last: 50) {
        nodes {
          ...MessageFields
        }
      }
    }
  }
`);

export const NodeById = graphql(`
  query NodeById($id: ID!) {
    node(id: $id) {
      ...Identified
      ... on Message {
        text
      }
    }
  }
`);

export const Identified = graphql(`
  fragment Identified on Node {
    id
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

export const SendTwo = graphql(`
  mutation SendTwo($first: SendMessageInput!, $second: SendMessageInput!) {
    first: sendMessage(input: $first) {
      message {
        ...MessageFields
      }
    }
    second: sendMessage(input: $second) {
      message {
        ...MessageFields
      }
    }
  }
`);

export const EditMessage = graphql(`
  mutation EditMessage($input: EditMessageInput!) {
    editMessage(input: $input) {
      message {
        ...MessageFields
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
      replayed
      message {
        ...MessageFields
        conversation {
          id
          latestSeq
        }
      }
    }
  }
`);

/** A chat that opens at the first unread message: `firstUnread` is `readSeq + 1` of the viewer. */
export const OpenAtUnread = graphql(`
  query OpenAtUnread($id: ID!, $firstUnread: Int!) {
    viewer {
      id
      syncCursor
    }
    conversation(id: $id) {
      id
      latestSeq
      viewerMembership {
        id
        readSeq
        unreadCount
      }
      messages(aroundSeq: $firstUnread) {
        nodes {
          ...MessageFields
        }
        pageInfo {
          hasPreviousPage
          hasNextPage
          startCursor
          endCursor
        }
      }
    }
  }
`);
