import { newId } from '../../src/core/ids.js';
import type { Db } from '../../src/infra/database/database.js';
import type { Answer, Json, Person } from './client.js';

/** Short versions of the most common operations. */

export const MESSAGES = `subscription ($conversationId: ID, $after: String) {
  messages(conversationId: $conversationId, after: $after) {
    type cursor changeSeq messageId replayed
    actor { id username }
    message { id seq text editedAt deletedAt clientMessageId sender { id username } conversation { id latestSeq } }
  }
}`;

export async function openDirect(person: Person, other: Person): Promise<string> {
  const data = await person.ask(
    `mutation ($input: OpenDirectConversationInput!) { openDirectConversation(input: $input) { conversation { id } } }`,
    { input: { userId: other.id } },
  );
  return data.openDirectConversation.conversation.id;
}

/** Opens a direct conversation in which both users have written, so that each can see the presence of the other. */
export async function openAnswered(person: Person, other: Person): Promise<string> {
  const id = await openDirect(person, other);
  for (const each of [person, other]) await send(each, id, 'hello');
  return id;
}

export async function createGroup(person: Person, members: Person[], more: object = {}): Promise<string> {
  const data = await person.ask(
    `mutation ($input: CreateGroupInput!) { createGroup(input: $input) { conversation { id } } }`,
    { input: { title: 'A group', memberIds: members.map(({ id }) => id), ...more } },
  );
  return data.createGroup.conversation.id;
}

export const SEND = `mutation ($input: SendMessageInput!) {
  sendMessage(input: $input) { message { id seq text createdAt editedAt deletedAt clientMessageId sender { id } } }
}`;

export const trySend = (
  person: Person,
  conversationId: string,
  text: string | null,
  clientMessageId?: string,
): Promise<Answer> => person.request(SEND, { input: { conversationId, text, clientMessageId } });

export async function send(person: Person, conversationId: string, text: string, clientMessageId?: string) {
  const data = await person.ask(SEND, { input: { conversationId, text, clientMessageId } });
  return data.sendMessage.message as {
    id: string;
    seq: number;
    text: string;
    createdAt: string;
    editedAt: string | null;
  };
}

export const EDIT = `mutation ($input: EditMessageInput!) {
  editMessage(input: $input) { message { id seq text editedAt } }
}`;

export async function edit(person: Person, messageId: string, text: string) {
  const data = await person.ask(EDIT, { input: { messageId, text } });
  return data.editMessage.message;
}

export const REMOVE = `mutation ($input: DeleteMessageInput!) {
  deleteMessage(input: $input) { message { id seq text deletedAt } }
}`;

export async function remove(person: Person, messageId: string) {
  const data = await person.ask(REMOVE, { input: { messageId } });
  return data.deleteMessage.message;
}

export const reply = async (person: Person, conversationId: string, replyToId: string, text: string) =>
  (await person.ask(SEND, { input: { conversationId, text, replyToId } })).sendMessage.message as {
    id: string;
    seq: number;
  };

/** Runs a mutation on one message; fails if it is rejected. */
async function change(person: Person, mutation: string, input: Json): Promise<void> {
  const refused = await attempt(person, mutation, input);
  if (typeof refused === 'string') throw new Error(`${mutation}: ${refused}`);
}
export const react = (person: Person, messageId: string, emoji: string) =>
  change(person, 'addReaction', { messageId, emoji });
export const unreact = (person: Person, messageId: string, emoji: string) =>
  change(person, 'removeReaction', { messageId, emoji });
export const pin = (person: Person, messageId: string) => change(person, 'pinMessage', { messageId });
export const unpin = (person: Person, messageId: string) => change(person, 'unpinMessage', { messageId });

export const REMOVE_MEMBER = `mutation ($input: RemoveMemberInput!) { removeMember(input: $input) { userId } }`;

/** The result of a mutation, or its error as `CODE field`. */
export async function attempt(person: Person, mutation: string, input: Json, selection = '__typename'): Promise<Json> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const { data, errors } = await person.request(
    `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${selection} } }`,
    { input },
  );
  const [error] = errors ?? [];
  return error ? [error.extensions.code, error.extensions.field].filter(Boolean).join(' ') : data[mutation];
}

/** Inserts groups of these users (row ids) into the database directly, without limits. Returns their ids, in order. */
export async function insertGroups(db: Db, count: number, userIds: readonly string[]): Promise<string[]> {
  const ids = Array.from({ length: count }, newId).sort();
  const [creatorId] = userIds;
  await db.$executeRaw`
    INSERT INTO conversations (id, kind, title, created_by_id, member_count)
    SELECT id, 'GROUP', 'A group', ${creatorId}::uuid, ${userIds.length}::int FROM unnest(${ids}::uuid[]) AS id`;
  await db.$executeRaw`
    INSERT INTO memberships (id, conversation_id, user_id, role)
    SELECT gen_random_uuid(), id, user_id, CASE WHEN user_id = ${creatorId}::uuid THEN 'OWNER' ELSE 'MEMBER' END::"MemberRole"
    FROM unnest(${ids}::uuid[]) AS id CROSS JOIN unnest(${userIds}::uuid[]) AS user_id`;
  await db.$executeRaw`
    INSERT INTO marks (conversation_id, user_id)
    SELECT id, user_id FROM unnest(${ids}::uuid[]) AS id CROSS JOIN unnest(${userIds}::uuid[]) AS user_id`;
  return ids;
}

/** Inserts messages `message <seq>` of a user (row ids) at the end of a conversation directly, up to a `seq`. Nobody is notified of them. */
export async function insertMessages(db: Db, conversationId: string, senderId: string, toSeq: number): Promise<void> {
  await db.$executeRaw`
    INSERT INTO messages (id, conversation_id, seq, sender_id, text)
    SELECT gen_random_uuid(), id, seq, ${senderId}::uuid, 'message ' || seq
    FROM conversations, generate_series(latest_seq + 1, ${toSeq}::int) AS seq WHERE id = ${conversationId}::uuid`;
  await db.$executeRaw`UPDATE conversations SET latest_seq = ${toSeq}::int WHERE id = ${conversationId}::uuid`;
}
