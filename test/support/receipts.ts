import type { Json, Person } from './client.js';

/** The operations of receipts for tests. */

export const RECEIPTS = `subscription ($conversationId: ID, $after: String) {
  receipts(conversationId: $conversationId, after: $after) {
    type cursor conversationId changeSeq replayed
    membership { deliveredSeq readSeq unreadCount user { id } }
    conversation { othersReadSeq othersDeliveredSeq }
  }
}`;

export async function mark(
  person: Person,
  mutation: 'markRead' | 'markDelivered',
  conversationId: string,
  seq: number,
): Promise<{ deliveredSeq: number; readSeq: number }> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const data = await person.ask(
    `mutation ($input: ${type}!) { ${mutation}(input: $input) { membership { deliveredSeq readSeq } } }`,
    { input: { conversationId, seq } },
  );
  return data[mutation].membership;
}

export async function acknowledge(person: Person, cursor: string, conversationId?: string): Promise<Json> {
  const data = await person.ask('mutation ($input: AcknowledgeInput!) { acknowledge(input: $input) { cursor } }', {
    input: { cursor, conversationId },
  });
  return data.acknowledge;
}

export async function statusOf(person: Person, messageId: string): Promise<string> {
  const { node } = await person.ask('query ($id: ID!) { node(id: $id) { ... on Message { status } } }', {
    id: messageId,
  });
  return node.status;
}

export async function unreadOf(person: Person, conversationId: string): Promise<number> {
  const { conversation } = await person.ask(
    'query ($id: ID!) { conversation(id: $id) { viewerMembership { unreadCount } } }',
    { id: conversationId },
  );
  return conversation.viewerMembership.unreadCount;
}
