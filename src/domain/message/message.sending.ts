import { ChatError, notFound } from '../../core/errors.js';
import type { Membership, Message } from '../../generated/prisma/client.js';
import {
  isDeadlock,
  isLockTimeout,
  isRefusal,
  isUnavailable,
  type SqlTransaction,
} from '../../infra/database/database.js';
import { announceAfterCommit } from '../../infra/database/unit-of-work.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import type { Change } from '../../realtime/change.js';
import { changesCommitted } from '../../realtime/change-log.js';
import { createGroupCommit, type GroupCommit, type Outcome } from '../../realtime/group-commit.js';
import { canRead, canSend, isPublic, sendRefused } from '../conversation/conversation.policy.js';
import type { Conversation } from '../conversation/conversation.store.js';
import { canModerate } from '../conversation/membership.policy.js';
import { findQuotesById, type Quote } from '../reply/reply.store.js';
import { isHere } from '../user/user.policy.js';
import { nothingBeside } from './message.beside.js';
import { type FullMessage, type MessageTold, messageChanged } from './message.events.js';
import { checkMentions, type Mentions } from './message.mentions.js';
import { canAnswer, canSee } from './message.policy.js';
import {
  findFull,
  type Locked,
  lockForSenders,
  type Side,
  setLockPatience,
  storingSent,
  waitForSender,
} from './message.store.js';

/** A message that somebody sends: checked as an input, not yet authorized. */
type Send = Pick<Message, 'id' | 'conversationId' | 'text' | 'clientMessageId' | 'inputHash'> &
  Mentions & {
    senderId: string;
    replyToId: string | null;
    /** What the index holds of its text: made before anything is locked. */
    textEntries: string;
  };

/**
 * Stores messages and tells everyone in their conversations, many in one transaction; in each conversation in the order
 * of calls. When it resolves, the message is committed: with the sender and the conversation as they were then.
 * With a `clientMessageId` that its sender has used: the first message, as it is now.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.conversationId` or `input.replyToId`; CONFLICT of `input.clientMessageId`: used with
 *   another input; UNAVAILABLE: the conversation is locked for long, or too many calls wait.
 */
export type Sends = GroupCommit<Send, FullMessage>;

/** Most shared batches at once: while one waits for the disk, another is put together. */
const SHARED_MAX = 2;
/** How long a send waits for a conversation, or for its sender, that somebody else has locked, in milliseconds. */
const LOCK_PATIENCE_MS = 10_000;

export const sends = defineService('sends', createSends);

function createSends({ config, database, metrics, tracing }: Deps): Sends {
  const embedded = database.footing === 'embedded';
  const became = { stored: 0, repeated: 0, refused: 0, failed: 0 };
  const lasted = metrics.duration(
    'parley_send_duration_seconds',
    'Duration of sends, from the call to the commit or the rejection.',
  );
  metrics.read(
    'counter',
    'parley_sends_total',
    'Sends by outcome: stored, repeated (a retry with the same key and input), refused (an error of the sender) or ' +
      'failed.',
    () => Object.entries(became).map(([outcome, value]) => ({ labels: { outcome }, value })),
    ['outcome'],
  );
  const commit = createGroupCommit<Send, FullMessage>({
    // The embedded database has one connection. Of a pool, those who wait for locks get half at most.
    sharedMax: embedded ? 1 : SHARED_MAX,
    aloneMax: embedded ? 1 : Math.max(1, Math.floor(config.databasePoolMax / 2)),
    commit: (sends, how) => tracing.together('commit sends', sends, () => carryOut(sends, how)),
    callers: {
      of: ({ senderId }) => senderId,
      // Outside of any batch, with nothing else locked: nobody waits but this sender.
      untilUnlocked: (senderId) =>
        database.sql
          .transaction((sql) => waitForSender(sql, senderId, LOCK_PATIENCE_MS))
          .catch((error: unknown) => {
            throw isLockTimeout(error)
              ? busy('Your account has too many requests in progress. Try again in a moment.', error)
              : error;
          }),
      waitedForMax: embedded ? 1 : Math.max(1, Math.floor(config.databasePoolMax / 4)),
    },
  });

  async function carryOut(sends: readonly Send[], { wait }: { wait: boolean }): Promise<Outcome<FullMessage>[]> {
    let finishing = false;
    let committed = false;
    try {
      const { outcomes, sent } = await database.sql.transaction(async (sql) => {
        const decided = await decide(sql, sends, { wait, mentionsMax: config.mentionsMax });
        finishing = true;
        if (decided.sent.length > 0) await finishWith(sql, decided.sent);
        return decided;
      });
      committed = true;
      became.stored += sent.length;
      const isDone = (outcome: Outcome<FullMessage>) => typeof outcome === 'object' && 'result' in outcome;
      became.repeated += outcomes.filter(isDone).length - sent.length;
      return outcomes;
    } catch (error) {
      if (isLockTimeout(error)) {
        throw busy('This conversation is being changed at the moment. Try again.', error, 'input.conversationId');
      }
      const cannotGoOn = isUnavailable(error) && !isDeadlock(error);
      // Of a commit that was not answered nobody knows whether it came through: its calls are not carried out twice.
      if (committed || cannotGoOn || (finishing && !isRefusal(error))) throw error;
      return sends.map(() => ({ error, rolledBack: true }));
    }
  }

  const send = (key: string, call: Send): Promise<FullMessage> =>
    tracing.step('send', async () => {
      tracing.note(call);
      const began = performance.now();
      try {
        return await commit(key, call);
      } catch (error) {
        const isRefused = error instanceof ChatError && error.code !== 'UNAVAILABLE';
        became[isRefused ? 'refused' : 'failed'] += 1;
        throw error;
      } finally {
        lasted((performance.now() - began) / 1000);
      }
    });
  return Object.assign(send, { counts: commit.counts });
}

/** Stores what is sent, with its changes, and commits. */
function finishWith(sql: SqlTransaction, sent: Decided['sent']): Promise<void> {
  announceAfterCommit(sql, changesCommitted, ...sent.map(({ change }) => change));
  return sql.finish(storingSent(sent), 'storingSent');
}

const busy = (message: string, cause: unknown, field?: string) =>
  new ChatError('UNAVAILABLE', message, { ...(field !== undefined && { field }), retryAfterMs: 1_000, cause });

interface Decided {
  outcomes: Outcome<FullMessage>[];
  /** What is to be stored. */
  sent: { message: Message; change: Change<MessageTold>; textEntries: string }[];
}

/** Locks the conversations, then decides of each send in its turn; those that are allowed get the next numbers. */
async function decide(
  sql: SqlTransaction,
  sends: readonly Send[],
  { wait, mentionsMax }: { wait: boolean; mentionsMax: number },
): Promise<Decided> {
  const { locked, sideOf, stored } = await lockAndRead(sql, sends, wait);
  const quotes = await readQuotes(sql, sends);
  const sent: Decided['sent'] = [];
  const outcomes = sends.map((send): Outcome<FullMessage> => {
    try {
      const key = keyOf(send);
      const first = key === undefined ? undefined : stored.get(key);
      const side = sideOf(send);
      if (side.isLocked) return 'CALLER_LOCKED';
      // Also to members who could not send it any more, and whoever has the conversation locked.
      if (first && canRead(side.own)) return { result: sameInput(first, send).message };
      const lock = locked.get(send.conversationId);
      if (!lock && side.conversationExists) return 'LOCKED';
      const { conversation, now, sender } = authorize(lock, side);
      checkMentions(send.mentionedIds, mentionsMax);
      const quote = quotes.answeredBy(send, sender);
      conversation.latestSeq += 1;
      conversation.changeSeq += 1;
      conversation.lastActivityAt = now;
      const message = messageOf(send, conversation, quote, canModerate(conversation, sender));
      const full = { ...message, ...nothingBeside, quote, sender: sender.user, conversation };
      const change = messageChanged('sent', sender.user, full);
      sent.push({ message, change, textEntries: send.textEntries });
      if (key !== undefined) stored.set(key, { message: change.data.message, inputHash: send.inputHash });
      return { result: change.data.message };
    } catch (error) {
      return { error };
    }
  });
  return { outcomes, sent };
}

/** @throws {ChatError} NOT_FOUND of the conversation; FORBIDDEN: theirs to see, but not to write in. */
function authorize(lock: Locked | undefined, { own, counterpart }: Side) {
  const field = 'input.conversationId';
  if (!lock || !(canRead(own) || isPublic(lock.conversation))) throw notFound(field, 'Conversation');
  if (!own || !canSend(own, counterpart)) throw sendRefused(own, field);
  // A session may be over that a socket of another node has not heard the end of.
  if (!isHere(own.user)) {
    throw new ChatError('FORBIDDEN', 'Your account has been suspended or deleted.', {
      field,
      reason: 'ACCOUNT_CLOSED',
    });
  }
  return { ...lock, sender: own };
}

const messageOf = (
  { asksEveryone, replyToId: _replyToId, textEntries: _textEntries, ...send }: Send,
  { latestSeq, lastActivityAt }: Conversation,
  quote: Quote | null,
  moderates: boolean,
): Message => ({
  ...send,
  mentionsEveryone: asksEveryone && moderates,
  seq: latestSeq,
  kind: 'USER',
  systemEvent: null,
  createdAt: lastActivityAt,
  editedAt: null,
  deletedAt: null,
  replyToSeq: quote?.message.seq ?? null,
  pinnedAt: null,
});

/** Reads what these sends answer, when their conversations are locked; where none answers anything, nothing. */
async function readQuotes(sql: SqlTransaction, sends: readonly Send[]) {
  const field = 'input.replyToId';
  const answers = sends.flatMap(({ conversationId, replyToId }) =>
    replyToId === null ? [] : [{ conversationId, messageId: replyToId }],
  );
  const nameOf = (conversationId: string, messageId: string) => `${conversationId} ${messageId}`;
  const found = answers.length === 0 ? [] : await findQuotesById(sql, answers);
  const quotes = new Map(
    answers.map(({ conversationId, messageId }, index) => [nameOf(conversationId, messageId), found[index] ?? null]),
  );
  return {
    /**
     * What a send answers, as it is after it.
     * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.replyToId`.
     */
    answeredBy({ conversationId, replyToId }: Send, sender: Membership): Quote | null {
      if (replyToId === null) return null;
      const name = nameOf(conversationId, replyToId);
      const quote = quotes.get(name);
      if (!quote || !canSee(quote.message, sender)) throw notFound(field, 'Message');
      if (!canAnswer(quote.message)) throw new ChatError('FORBIDDEN', 'You cannot reply to this message.', { field });
      const { replyCount } = quote.message;
      const answered = { ...quote, message: { ...quote.message, replyCount: replyCount + 1 } };
      quotes.set(name, answered);
      return answered;
    },
  };
}

/** What a key stands for: the message that it was used for first, and the hash of the input then. */
interface First {
  message: FullMessage;
  inputHash: Uint8Array | null;
}

/** @throws {ChatError} CONFLICT: the key was used with another input. Of what was deleted nobody knows. */
function sameInput(first: First, { inputHash }: Send): First {
  if (first.message.deletedAt !== null) return first;
  if (first.inputHash && inputHash && Buffer.compare(first.inputHash, inputHash) === 0) return first;
  throw new ChatError('CONFLICT', 'This clientMessageId has already been used with different input.', {
    field: 'input.clientMessageId',
  });
}

const keyOf = ({ senderId, clientMessageId }: Pick<Message, 'senderId' | 'clientMessageId'>) =>
  clientMessageId === null ? undefined : `${senderId} ${clientMessageId}`;

/** Locks the conversations, and reads what the policies ask of the senders, and what their keys were used for. */
async function lockAndRead(sql: SqlTransaction, sends: readonly Send[], wait: boolean) {
  const pairOf = ({ conversationId, senderId: userId }: Send) => ({ conversationId, userId });
  const pairName = ({ conversationId, senderId }: Send) => `${conversationId} ${senderId}`;
  const pairs = new Map(sends.map((send) => [pairName(send), pairOf(send)]));
  const keys = sends.flatMap(({ senderId, clientMessageId }) =>
    clientMessageId === null ? [] : [{ senderId, clientMessageId }],
  );
  if (wait) await setLockPatience(sql, LOCK_PATIENCE_MS);
  const lock = () => lockForSenders(sql, [...pairs.values()], keys, { wait });
  let read = await lock();
  if (wait || !read.fresh) {
    // Somebody else was quicker. Now that they are locked, what is read is true; what could be locked only now, waits.
    const before = read.locked;
    read = await lock();
    for (const id of read.locked.keys()) if (!before.has(id)) read.locked.delete(id);
  }
  const { sides, locked, sentIds } = read;
  const sideByPair = new Map([...pairs.keys()].map((name, index) => [name, sides[index]]));
  const first = sentIds.length === 0 ? [] : await findFull(sql, sentIds);
  return {
    locked,
    sideOf: (send: Send): Side =>
      sideByPair.get(pairName(send)) ?? {
        conversationExists: false,
        own: undefined,
        isLocked: false,
        counterpart: undefined,
      },
    stored: new Map<string, First>(
      first.map((message) => [keyOf(message) ?? '', { message, inputHash: message.inputHash }]),
    ),
  };
}
