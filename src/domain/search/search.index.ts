import { setTimeout } from 'node:timers/promises';
import type { Message } from '../../generated/prisma/client.js';
import { Prisma } from '../../generated/prisma/client.js';
import type { Database, Tx } from '../../infra/database.js';
import type { Deps } from '../deps.js';
import { searchVectorOf } from './search.terms.js';

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
/** Messages that are put in at a time. */
const BATCH = 200;
/** Between two times, so that what people do comes first, in milliseconds. */
const PAUSE_MS = 20;

export function createIndexing({ database, log }: Pick<Deps, 'database' | 'log'>): Indexing {
  let closed = false;
  let underWay: Promise<void> | undefined;

  const begin = () => {
    underWay ??= (async () => {
      let count = 0;
      for (let more = true; more && !closed; ) {
        const found = await indexSome(database);
        count += found;
        more = found > 0;
        if (more) await setTimeout(PAUSE_MS);
      }
      if (count > 0) log.info({ count }, 'messages were indexed for search');
    })().finally(() => {
      underWay = undefined;
    });
    return underWay;
  };
  const look = () => {
    if (closed) return;
    begin().catch((error: unknown) => {
      if (!closed) log.warn({ err: error }, 'messages could not be indexed for search; it is tried again');
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

type Unindexed = Pick<Message, 'id' | 'conversationId' | 'seq' | 'senderId' | 'mentionedIds' | 'mentionsEveryone'> & {
  text: string;
};

/** Puts some into the index. @returns how many were looked at. */
async function indexSome({ sql }: Pick<Database, 'sql'>): Promise<number> {
  const rows = await sql.query<Unindexed>(Prisma.sql`
    SELECT id::text, conversation_id::text AS "conversationId", seq, sender_id::text AS "senderId", text,
           mentioned_ids::text[] AS "mentionedIds", mentions_everyone AS "mentionsEveryone"
    FROM messages WHERE search IS NULL AND text IS NOT NULL ORDER BY id DESC LIMIT ${BATCH}`);
  if (rows.length === 0) return 0;
  // What was changed since it was read stays as it is: whoever changed it put it in, or the next look does.
  await sql.query(Prisma.sql`
    UPDATE messages SET search = given.search::tsvector
    FROM unnest(${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ text }) => text)}::text[], ${rows.map(searchVectorOf)}::text[])
      AS given (id, text, search)
    WHERE messages.id = given.id AND messages.text = given.text AND messages.search IS NULL`);
  return rows.length;
}

/** Puts a message into the index whose text was changed in this transaction: that has taken it out. */
export async function indexChanged(tx: Tx, message: Message): Promise<void> {
  const { id, text } = message;
  if (text === null) return;
  await tx.$executeRaw`UPDATE messages SET search = ${searchVectorOf({ ...message, text })}::tsvector WHERE id = ${id}::uuid`;
}
