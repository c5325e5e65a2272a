import { setTimeout } from 'node:timers/promises';
import type { Message } from '../../generated/prisma/client.js';
import { Prisma } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { rebuildSome } from './search.rebuild.js';
import { readTextEntries, searchVectorFrom } from './search.terms.js';

/**
 * Puts messages into the index that were stored or changed without it: those of before there was one, and those of an
 * older version's nodes during an update. The newest first, on any number of nodes at once.
 */
export interface Indexing {
  /** Resolves when there is none left. */
  finish(): Promise<void>;
  /** Resolves when what is under way here has come to the end of its step. */
  close(): Promise<void>;
}

/** How often a node looks for messages that are not in the index, in milliseconds. */
const LOOK_MS = 60_000;
/** Messages that are put in at a time, and how many characters of text. */
const BATCH = 200;
const BATCH_CHARS = 200_000;
/** Between two times, so that what people do comes first, in milliseconds. */
const PAUSE_MS = 20;

function createIndexing(deps: Pick<Deps, 'database' | 'log' | 'slices'>): Indexing {
  const { log } = deps;
  const startedAt = new Date();
  let closed = false;
  let underWay: Promise<void> | undefined;

  const begin = () => {
    underWay ??= (async () => {
      let count = 0;
      for (let more = true; more && !closed; ) {
        const found = await indexSome(deps);
        count += found;
        more = found > 0;
        if (more) await setTimeout(PAUSE_MS);
      }
      if (count > 0) log.info({ count }, 'messages indexed for search');
      for (let more = true; more && !closed; ) {
        more = await rebuildSome(deps, startedAt);
        if (more) await setTimeout(PAUSE_MS);
      }
    })().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  const look = () => {
    if (closed) return;
    begin().catch((error: unknown) => {
      if (!closed) log.warn({ err: error }, 'messages could not be indexed for search; retrying');
    });
  };
  const timer = setInterval(look, LOOK_MS);
  look();
  return {
    async finish() {
      await underWay?.catch(() => {});
      await begin();
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await underWay?.catch(() => {});
    },
  };
}

export const indexing = defineService('search indexing', createIndexing);

type Unindexed = Pick<Message, 'id' | 'conversationId' | 'seq' | 'senderId' | 'mentionedIds' | 'mentionsEveryone'> & {
  text: string;
};

/** Puts some into the index. @returns how many were looked at. */
async function indexSome({ database: { sql }, slices }: Pick<Deps, 'database' | 'slices'>): Promise<number> {
  const rows = await sql.query<Unindexed>(Prisma.sql`
    SELECT id, "conversationId", seq, "senderId", text, "mentionedIds", "mentionsEveryone"
    FROM (
      SELECT id::text, conversation_id::text AS "conversationId", seq, sender_id::text AS "senderId", text,
             mentioned_ids::text[] AS "mentionedIds", mentions_everyone AS "mentionsEveryone",
             sum(length(text)) OVER (ORDER BY id DESC) - length(text) AS before
      FROM (SELECT * FROM messages WHERE search IS NULL AND text IS NOT NULL ORDER BY id DESC LIMIT ${BATCH}) newest
    ) counted
    WHERE before < ${BATCH_CHARS}`);
  if (rows.length === 0) return 0;
  const vectors: string[] = [];
  for (const row of rows) vectors.push(searchVectorFrom(row, await readTextEntries(slices, row.text)));
  // What was changed since it was read stays as it is: whoever changed it put it in, or the next look does.
  await sql.query(Prisma.sql`
    UPDATE messages SET search = given.search::tsvector
    FROM unnest(${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ text }) => text)}::text[], ${vectors}::text[])
      AS given (id, text, search)
    WHERE messages.id = given.id AND messages.text = given.text AND messages.search IS NULL`);
  return rows.length;
}

/**
 * Puts a message into the index whose text was changed in this transaction: that has taken it out.
 * @param textEntries what `readTextEntries` gave of the new text.
 */
export async function indexChanged(tx: Tx, message: Message, textEntries: string): Promise<void> {
  if (message.text === null) return;
  const vector = searchVectorFrom(message, textEntries);
  await tx.$executeRaw`UPDATE messages SET search = ${vector}::tsvector WHERE id = ${message.id}::uuid`;
}
