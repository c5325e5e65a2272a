import { setTimeout } from 'node:timers/promises';
import type { Message } from '../../generated/prisma/client.js';
import { Prisma } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { findAttachments } from '../media/media.store.js';
import { runRebuildStep } from './search.rebuild.js';
import { readTextEntries, searchVectorFrom } from './search.terms.js';

/**
 * Indexes messages that were stored or changed without an index entry: by versions before the index existed, and by
 * nodes of an older version during an update. It begins with the newest ones and can run on any number of nodes at
 * once.
 */
export interface Indexing {
  /** Resolves when all messages are indexed. */
  finish(): Promise<void>;
  /** Stops and resolves when the current step has finished. */
  close(): Promise<void>;
}

/** How often a node checks for messages that are not in the index, in milliseconds. */
const CHECK_INTERVAL_MS = 60_000;
/** The maximum number of messages, and of characters of text, that are indexed at a time. */
const BATCH = 200;
const BATCH_CHARS = 200_000;
/** The pause between two batches, in milliseconds, so that requests take precedence. */
const PAUSE_MS = 20;

function createIndexing(deps: Pick<Deps, 'database' | 'log' | 'slices'>): Indexing {
  const { log } = deps;
  const startedAt = new Date();
  let closed = false;
  let running: Promise<void> | undefined;

  const run = () => {
    running ??= (async () => {
      let count = 0;
      for (let more = true; more && !closed; ) {
        const found = await indexBatch(deps);
        count += found;
        more = found > 0;
        if (more) await setTimeout(PAUSE_MS);
      }
      if (count > 0) log.info({ count }, 'messages indexed for search');
      for (let more = true; more && !closed; ) {
        more = await runRebuildStep(deps, startedAt);
        if (more) await setTimeout(PAUSE_MS);
      }
    })().finally(() => {
      running = undefined;
    });
    return running;
  };
  const runInBackground = () => {
    if (closed) return;
    run().catch((error: unknown) => {
      if (!closed) log.warn({ err: error }, 'messages could not be indexed for search; retrying');
    });
  };
  const timer = setInterval(runInBackground, CHECK_INTERVAL_MS);
  runInBackground();
  return {
    async finish() {
      await running?.catch(() => {});
      await run();
    },
    async close() {
      closed = true;
      clearInterval(timer);
      await running?.catch(() => {});
    },
  };
}

export const indexing = defineService('search indexing', createIndexing);

type Unindexed = Pick<Message, 'id' | 'conversationId' | 'seq' | 'senderId' | 'mentionedIds' | 'mentionsEveryone'> &
  Pick<Message, 'attachmentCount'> & { text: string };

/**
 * Indexes one batch of messages.
 * @returns the number of messages that were read.
 */
async function indexBatch({ database: { db, sql }, slices }: Pick<Deps, 'database' | 'slices'>): Promise<number> {
  const rows = await sql.query<Unindexed>(Prisma.sql`
    SELECT id, "conversationId", seq, "senderId", text, "mentionedIds", "mentionsEveryone", "attachmentCount"
    FROM (
      SELECT id::text, conversation_id::text AS "conversationId", seq, sender_id::text AS "senderId", text,
             mentioned_ids::text[] AS "mentionedIds", mentions_everyone AS "mentionsEveryone",
             attachment_count AS "attachmentCount",
             sum(length(text)) OVER (ORDER BY id DESC) - length(text) AS before
      FROM (SELECT * FROM messages WHERE search IS NULL AND text IS NOT NULL ORDER BY id DESC LIMIT ${BATCH}) newest
    ) counted
    WHERE before < ${BATCH_CHARS}`);
  if (rows.length === 0) return 0;
  const attachments = await findAttachments(db, rows);
  const vectors: string[] = [];
  for (const [index, row] of rows.entries()) {
    vectors.push(searchVectorFrom(row, await readTextEntries(slices, row.text), attachments[index] ?? []));
  }
  // A message that was changed since it was read is skipped: the change indexed it, or the next run will.
  await sql.query(Prisma.sql`
    UPDATE messages SET search = given.search::tsvector
    FROM unnest(${rows.map(({ id }) => id)}::uuid[], ${rows.map(({ text }) => text)}::text[], ${vectors}::text[])
      AS given (id, text, search)
    WHERE messages.id = given.id AND messages.text = given.text AND messages.search IS NULL`);
  return rows.length;
}
