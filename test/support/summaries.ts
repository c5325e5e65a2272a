import { decodeGlobalId, newId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import type { Json, Person } from './client.js';

const FIELDS = `id text fromSeq toSeq messageCount stale model createdAt conversation { id }
  highlights { text kind topic messages { id seq text sender { id } } }`;

const SUMMARIZE = `mutation ($input: SummarizeConversationInput!) {
  summarizeConversation(input: $input) { summary { ${FIELDS} } }
}`;
export const PROGRESS = `subscription ($conversationId: ID!, $fromSeq: Int, $toSeq: Int) {
  summaryProgress(conversationId: $conversationId, fromSeq: $fromSeq, toSeq: $toSeq) {
    conversationId fromSeq toSeq progress summary { ${FIELDS} }
  }
}`;

/** Requests a summary; an error is returned as `CODE field`. */
export async function summarize(person: Person, conversationId: string, ends: Json = {}): Promise<Json> {
  const { data, errors } = await person.request(SUMMARIZE, { input: { conversationId, ...ends } });
  const [error] = errors ?? [];
  return error
    ? [error.extensions.code, error.extensions.field].filter(Boolean).join(' ')
    : data.summarizeConversation.summary;
}

export async function listSummaries(person: Person, id: string, args = 'first: 20'): Promise<Json[]> {
  const { conversation } = await person.ask(
    `query ($id: ID!) { conversation(id: $id) { summaries(${args}) { nodes { ${FIELDS} } } } }`,
    { id },
  );
  return conversation?.summaries?.nodes ?? [];
}

export const fetchSummary = async (person: Person, id: string): Promise<Json> =>
  (await person.ask(`query ($id: ID!) { node(id: $id) { ... on Summary { ${FIELDS} } } }`, { id })).node;

/** The whole content of the tables of summaries, as one text. */
export async function storedText({ deps }: RunningNode): Promise<string> {
  const { db } = deps.database;
  const rows = await Promise.all([
    db.$queryRaw<Json[]>`SELECT text, highlights::text AS highlights FROM summaries`,
    db.$queryRaw<Json[]>`SELECT notes::text AS notes FROM summary_parts`,
  ]);
  return JSON.stringify(rows);
}

/** Inserts many messages into a conversation directly. */
export async function fill(
  { deps }: RunningNode,
  conversationGlobalId: string,
  people: readonly Person[],
  texts: readonly string[],
): Promise<void> {
  const { db } = deps.database;
  const conversationId = decodeGlobalId(conversationGlobalId, 'id').id;
  const senders = people.map(({ id }) => decodeGlobalId(id, 'id').id);
  const { latestSeq } = await db.conversation.findUniqueOrThrow({ where: { id: conversationId } });
  const from = Date.UTC(2026, 9, 1);
  await db.message.createMany({
    data: texts.map((text, index) => ({
      id: newId(),
      conversationId,
      seq: latestSeq + index + 1,
      senderId: senders[index % senders.length] ?? '',
      text,
      createdAt: new Date(from + index * 60_000),
    })),
  });
  await db.conversation.update({ where: { id: conversationId }, data: { latestSeq: latestSeq + texts.length } });
}
