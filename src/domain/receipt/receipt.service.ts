import { badInput, notFound } from '../../core/errors.js';
import { isoKeyset, type Page, type PageArgs, readPage } from '../../core/page.js';
import { decodeSyncCursor } from '../../core/sync-cursor.js';
import type { Membership, Message } from '../../generated/prisma/client.js';
import type { Deps } from '../../platform/deps.js';
import type { Connection, Viewer } from '../../platform/viewer.js';
import { checkCursor } from '../../realtime/change-log.js';
import {
  type ChangeEvent,
  type ChangeStream,
  defineStreamKind,
  type StreamEvent,
} from '../../realtime/change-stream.js';
import { checkReadable, openStream } from '../conversation/open-stream.js';
import { MARK_MOVED } from './receipt.events.js';
import { keyOfMark, receiptMarks } from './receipt.marks.js';
import { countUnread, findUpTo, type Mark, type MarkState, type ReceiversPage } from './receipt.store.js';

/** A member with their marks. */
export type MarkedMembership = Membership & { mark: Mark };

/**
 * Moves the viewer's delivered mark forward to `seq`; it never moves back.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.conversationId`; BAD_USER_INPUT of `input.seq`: there is no such
 *   message yet.
 */
export const markDelivered = (deps: Deps, viewer: Viewer, input: { conversationId: string; seq: number }) =>
  mark(deps, viewer, input, { deliveredSeq: input.seq, readSeq: 0 });

/** Moves the read mark in the same way, and the delivered mark with it. */
export const markRead = (deps: Deps, viewer: Viewer, input: { conversationId: string; seq: number }) =>
  mark(deps, viewer, input, { deliveredSeq: input.seq, readSeq: input.seq });

async function mark(
  deps: Deps,
  viewer: Viewer,
  { conversationId, seq }: { conversationId: string; seq: number },
  marks: { deliveredSeq: number; readSeq: number },
): Promise<MarkedMembership> {
  const field = 'input.seq';
  if (seq < 0) throw badInput(field, 'A seq must not be negative.');
  const move = { conversationId, userId: viewer.userId, ...marks };
  const moved = await receiptMarks.of(deps)(keyOfMark(move), move);
  if (!moved) {
    await checkReadable(deps, viewer, conversationId, 'input.conversationId');
    // The viewer joined at this moment.
    throw notFound('input.conversationId', 'Conversation');
  }
  if (seq > moved.latestSeq)
    throw badInput(field, `The seq must not be higher than that of the newest message, ${moved.latestSeq}.`);
  return { ...moved.membership, mark: moved.mark };
}

/**
 * Confirms that the viewer's device has received everything up to a cursor of a `messages` stream: moves the delivered
 * marks of all conversations of the stream.
 * @throws {ChatError} BAD_USER_INPUT or CURSOR_EXPIRED of `input.cursor`; NOT_FOUND or FORBIDDEN of
 *   `input.conversationId`.
 */
export async function acknowledge(
  deps: Deps,
  viewer: Viewer,
  { cursor, conversationId }: { cursor: string; conversationId: string | null },
): Promise<void> {
  const { database } = deps;
  const field = 'input.cursor';
  const seen = decodeSyncCursor(cursor, field, database.generation);
  await checkCursor(database, seen, field);
  if (conversationId !== null) await checkReadable(deps, viewer, conversationId, 'input.conversationId');
  const reached = await findUpTo(database.sql, viewer.userId, seen, conversationId);
  await Promise.all(
    reached.map(({ conversationId, seq }) => {
      const move = { conversationId, userId: viewer.userId, deliveredSeq: seq, readSeq: 0 };
      return receiptMarks.of(deps)(keyOfMark(move), move);
    }),
  );
}

/** Lists who has received or read a message, latest first. Throws BAD_USER_INPUT for invalid arguments of the page. */
export async function listReceipts(
  { config }: Deps,
  { id, conversationId, seq, senderId }: Pick<Message, 'id' | 'conversationId' | 'seq' | 'senderId'>,
  mark: 'delivered' | 'read',
  args: PageArgs,
  read: (key: string, page: ReceiversPage) => Promise<{ userId: string; at: Date }[]>,
): Promise<Page<{ userId: string; at: Date }>> {
  return readPage(args, config, {
    name: `${mark}:${id}`,
    keys: ['date', 'uuid'],
    read: ({ from, size }) =>
      read(`${conversationId} ${seq} ${senderId ?? ''}`, { mark, after: isoKeyset(from), limit: size + 1 }),
    keysetOf: ({ at, userId }) => [at, userId],
  });
}

/** One event of the `receipts` stream. */
export type ReceiptEvent = StreamEvent<'MOVED', MarkState>;

const receiptStream = defineStreamKind<'MOVED', MarkState>({ types: [MARK_MOVED], typeOf: () => 'MOVED' });

/**
 * Streams moves of marks in one conversation or in all of the viewer's.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `conversationId`; BAD_USER_INPUT or CURSOR_EXPIRED of `after`.
 */
export const streamReceipts = (
  deps: Deps,
  viewer: Viewer,
  connection: Connection,
  which: { conversationId: string | null; after: string | null | undefined },
): Promise<ChangeStream<ChangeEvent<'MOVED', MarkState>>> =>
  openStream(deps, viewer, connection, { kind: receiptStream, ...which });

/** The number of unread messages in all conversations of the viewer. */
export const unreadCountOf = ({ database }: Deps, { userId }: Viewer): Promise<number> =>
  countUnread(database.db, userId);
