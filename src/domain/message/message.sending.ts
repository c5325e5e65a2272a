import { ChatError, notFound } from '../../core/errors.js';
import type { Message, Prisma } from '../../generated/prisma/client.js';
import {
  isDatabaseError,
  isDeadlock,
  isLockTimeout,
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
import { canModerate } from '../conversation/membership.policy.js';
import { isActive } from '../user/user.policy.js';
import { type FullMessage, messageChanged, messageChangeTypes, type NewMessageChange } from './message.events.js';
import { checkMentions, type Mentions } from './message.mentions.js';
import {
  type CombinedParts,
  type DerivedValues,
  type GivenPart,
  type MessageParts,
  messageParts,
  type SendBatch,
  type SentPart,
} from './message.part.js';
import {
  findFull,
  type Locked,
  lockForSenders,
  type Side,
  setLockTimeout,
  storingSent,
  waitForSender,
} from './message.store.js';
import { checkEncryption } from './message.text.js';

/** A message to send. Its input has been validated, and permissions have not been checked yet. */
type Send = Pick<Message, 'id' | 'conversationId' | 'text' | 'clientMessageId' | 'inputHash'> &
  Mentions & {
    senderId: string;
    given: readonly GivenPart[];
    /** The values that parts derived from the text before anything was locked. */
    derived: DerivedValues;
  };

/**
 * Stores and publishes messages, many in one transaction, and in each conversation in the order of the calls. The
 * message is committed when the promise resolves, with the sender and the conversation as of the commit. If the sender
 * has already used the `clientMessageId`, it resolves with the first message in its current state.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN with the field `input.conversationId`; all errors of the message's parts;
 *   CONFLICT with the field `input.clientMessageId` if it was used with another input; UNAVAILABLE if the conversation
 *   or the sender stays locked for too long, or if too many calls are waiting.
 */
export type Sends = GroupCommit<Send, FullMessage>;

/** The maximum number of concurrent shared batches: while one commits, the next one is prepared. */
const SHARED_MAX = 2;
/** How long a send waits for the lock of a conversation or of its sender, in milliseconds. */
const LOCK_TIMEOUT_MS = 10_000;

export const sends = defineService('sends', createSends);

function createSends(deps: Deps): Sends {
  const { config, database, metrics, tracing } = deps;
  const parts = messageParts.of(deps);
  const embedded = database.mode === 'embedded';
  const outcomeCounts = { stored: 0, repeated: 0, refused: 0, failed: 0 };
  const observeDuration = metrics.duration(
    'parley_send_duration_seconds',
    'Duration of sends, from the call to the commit or the rejection.',
  );
  metrics.read(
    'counter',
    'parley_sends_total',
    'Sends by outcome: stored, repeated (a retry with the same key and input), refused (an error of the sender) or ' +
      'failed.',
    () => Object.entries(outcomeCounts).map(([outcome, value]) => ({ labels: { outcome }, value })),
    ['outcome'],
  );
  const commit = createGroupCommit<Send, FullMessage>({
    // The embedded database has one connection. Of a connection pool, sends that wait for locks use at most half.
    sharedMax: embedded ? 1 : SHARED_MAX,
    singleKeyMax: embedded ? 1 : Math.max(1, Math.floor(config.databasePoolMax / 2)),
    commit: (sends, how) => tracing.together('commit sends', sends, () => commitBatch(sends, how)),
    callers: {
      of: ({ senderId }) => senderId,
      // In a transaction without other locks, so that only this sender's calls wait.
      untilUnlocked: (senderId) =>
        database.sql
          .transaction((sql) => waitForSender(sql, senderId, LOCK_TIMEOUT_MS))
          .catch((error: unknown) => {
            throw isLockTimeout(error)
              ? busy('Your account has too many requests in progress. Try again in a moment.', error)
              : error;
          }),
      waitedForMax: embedded ? 1 : Math.max(1, Math.floor(config.databasePoolMax / 4)),
    },
  });

  async function commitBatch(sends: readonly Send[], { wait }: { wait: boolean }): Promise<Outcome<FullMessage>[]> {
    let finishing = false;
    let committed = false;
    try {
      const { outcomes, sent } = await database.sql.transaction(async (sql) => {
        const decided = await decide(sql, sends, { wait, mentionsMax: config.mentionsMax, parts });
        finishing = true;
        if (decided.sent.length > 0) await storeSent(sql, decided.sent, parts);
        return decided;
      });
      committed = true;
      outcomeCounts.stored += sent.length;
      const isDone = (outcome: Outcome<FullMessage>) => typeof outcome === 'object' && 'result' in outcome;
      outcomeCounts.repeated += outcomes.filter(isDone).length - sent.length;
      return outcomes;
    } catch (error) {
      if (isLockTimeout(error)) {
        throw busy('This conversation is being changed at the moment. Try again.', error, 'input.conversationId');
      }
      const isFatal = isUnavailable(error) && !isDeadlock(error);
      // If the result of a commit is unknown, its calls are not repeated: they may have been committed.
      if (committed || isFatal || (finishing && !isDatabaseError(error))) throw error;
      return sends.map(() => ({ error, rolledBack: true }));
    }
  }

  const send = (key: string, call: Send): Promise<FullMessage> =>
    tracing.step('send', async () => {
      tracing.linkToSpan(call);
      const began = performance.now();
      try {
        return await commit(key, call);
      } catch (error) {
        const isRefused = error instanceof ChatError && error.code !== 'UNAVAILABLE';
        outcomeCounts[isRefused ? 'refused' : 'failed'] += 1;
        throw error;
      } finally {
        observeDuration((performance.now() - began) / 1000);
      }
    });
  return Object.assign(send, { counts: commit.counts });
}

/** Stores the messages and their changes as the last statements of the transaction. */
function storeSent(sql: SqlTransaction, sent: Decided['sent'], { columns }: CombinedParts): Promise<void> {
  announceAfterCommit(sql, changesCommitted, ...sent.map(({ change }) => change));
  const statement = storingSent(sent, columns);
  const isStoredAlone = sent.every(({ given }) => given.every((each) => each.sent.store === undefined));
  return isStoredAlone ? sql.finish(statement, 'storingSent') : storeWithParts(sql, statement, sent);
}

async function storeWithParts(sql: SqlTransaction, statement: Prisma.Sql, sent: Decided['sent']): Promise<void> {
  await sql.query(statement, 'storingSent');
  for (const [part, ofPart] of byPart(sent)) await part.store?.(sql, ofPart);
}

/** The values that the messages contain, grouped by part. */
function byPart(sends: readonly { message: Pick<Message, 'id' | 'conversationId'>; given: readonly GivenPart[] }[]) {
  const all = new Map<
    SentPart<unknown, unknown>,
    { message: Pick<Message, 'id' | 'conversationId'>; given: unknown }[]
  >();
  for (const { message, given } of sends) {
    for (const each of given) {
      const ofPart = all.get(each.sent) ?? [];
      all.set(each.sent, ofPart);
      ofPart.push({ message, given: each.given });
    }
  }
  return all;
}

const busy = (message: string, cause: unknown, field?: string) =>
  new ChatError('UNAVAILABLE', message, { ...(field !== undefined && { field }), retryAfterMs: 1_000, cause });

interface Decided {
  outcomes: Outcome<FullMessage>[];
  /** The messages to store. */
  sent: {
    message: Message;
    change: Change<NewMessageChange>;
    given: readonly GivenPart[];
    extraValues: readonly string[];
  }[];
}

/** Locks the conversations, then checks each send in turn. Those that are allowed get the next numbers. */
async function decide(
  sql: SqlTransaction,
  sends: readonly Send[],
  { wait, mentionsMax, parts }: { wait: boolean; mentionsMax: number; parts: CombinedParts },
): Promise<Decided> {
  const { locked, sideOf, stored } = await lockAndRead(sql, sends, wait);
  const isPlain = sends.every(({ given }) => given.length === 0);
  const batches = isPlain ? undefined : await beginParts(sql, sends);
  const sent: Decided['sent'] = [];
  const outcomes = sends.map((send): Outcome<FullMessage> => {
    try {
      const key = keyOf(send);
      const first = key === undefined ? undefined : stored.get(key);
      const side = sideOf(send);
      if (side.isLocked) return 'CALLER_LOCKED';
      // A retry returns the first message also to members who can no longer send, and while the conversation is locked.
      if (first && canRead(side.own)) return { result: checkSameInput(first, send).message };
      const lock = locked.get(send.conversationId);
      if (!lock && side.conversationExists) return 'LOCKED';
      const { conversation, now, sender } = authorize(lock, side);
      checkEncryption(
        conversation,
        send.given.some(({ sent }) => sent.encrypts),
      );
      checkMentions(send.mentionedIds, mentionsMax);
      for (const { sent: part, given } of send.given) {
        batches?.get(part)?.check?.({ message: send, given }, { sender, conversation });
      }
      const numbers = {
        latestSeq: conversation.latestSeq + 1,
        changeSeq: conversation.changeSeq + 1,
        lastActivityAt: now,
      };
      const message = messageOf(send, numbers, canModerate(conversation, sender));
      const values = batches && send.given.length > 0 ? attach(message, send.given, batches, parts) : parts.empty;
      const full = { ...message, parts: values, sender: sender.user, conversation: { ...conversation, ...numbers } };
      const change = messageChanged(messageChangeTypes.sent, sender.user, full);
      const extraValues = parts.columnValues({ ...message, parts: values }, send.derived);
      // Nothing below throws. A message that failed above has taken no number, so the next one leaves no gap.
      Object.assign(conversation, numbers);
      sent.push({ message, change, given: send.given, extraValues });
      if (key !== undefined) stored.set(key, { message: change.data.message, inputHash: send.inputHash });
      return { result: change.data.message };
    } catch (error) {
      return { error };
    }
  });
  return { outcomes, sent };
}

/**
 * Checks whether the sender can send messages in a locked conversation.
 * @throws {ChatError} NOT_FOUND if they cannot see the conversation; FORBIDDEN if they can see it but cannot send.
 */
function authorize(lock: Locked | undefined, { own, counterpart }: Side) {
  const field = 'input.conversationId';
  if (!lock || !(canRead(own) || isPublic(lock.conversation))) throw notFound(field, 'Conversation');
  if (!own || !canSend(own, counterpart)) throw sendRefused(own, field);
  // The account may have been closed without this node having been notified yet.
  if (!isActive(own.user)) {
    throw new ChatError('FORBIDDEN', 'Your account has been suspended or deleted.', {
      field,
      reason: 'ACCOUNT_CLOSED',
    });
  }
  return { ...lock, sender: own };
}

const messageOf = (
  { asksEveryone, given: _given, derived: _derived, ...send }: Send,
  { latestSeq, lastActivityAt }: Pick<Locked['conversation'], 'latestSeq' | 'lastActivityAt'>,
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
  replyToSeq: null,
  pinnedAt: null,
  attachmentCount: 0,
  statusReply: false,
});

type Batches = ReadonlyMap<SentPart<unknown, unknown>, SendBatch<unknown, unknown>>;

/** Begins a batch for each part that at least one of the messages contains. */
async function beginParts(sql: SqlTransaction, sends: readonly Send[]): Promise<Batches> {
  const batches = new Map<SentPart<unknown, unknown>, SendBatch<unknown, unknown>>();
  for (const [part, ofPart] of byPart(sends.map((send) => ({ message: send, given: send.given })))) {
    batches.set(part, await part.begin(sql, ofPart));
  }
  return batches;
}

/**
 * Adds the columns of its parts to a message, in place.
 * @returns the values of all parts.
 */
function attach(
  message: Message,
  given: readonly GivenPart[],
  batches: Batches,
  { empty }: CombinedParts,
): MessageParts {
  const values: Record<string, unknown> = { ...empty };
  for (const { part, sent, given: value } of given) {
    const attached = batches.get(sent)?.attach({ message, given: value });
    if (attached?.value !== undefined) values[part.name] = attached.value;
    Object.assign(message, attached?.columns);
  }
  return values as unknown as MessageParts;
}

/** The message for which an idempotency key was used first, and the hash of its input. */
interface FirstSend {
  message: FullMessage;
  inputHash: Uint8Array | null;
}

/**
 * Checks that a retry has the same input as the first call. For a deleted message, whose hash no longer exists, every
 * input is accepted.
 * @throws {ChatError} CONFLICT if the key was used with another input.
 */
function checkSameInput(first: FirstSend, { inputHash }: Send): FirstSend {
  if (first.message.deletedAt !== null) return first;
  if (first.inputHash && inputHash && Buffer.compare(first.inputHash, inputHash) === 0) return first;
  throw new ChatError('CONFLICT', 'This clientMessageId has already been used with different input.', {
    field: 'input.clientMessageId',
  });
}

const keyOf = ({ senderId, clientMessageId }: Pick<Message, 'senderId' | 'clientMessageId'>) =>
  clientMessageId === null ? undefined : `${senderId} ${clientMessageId}`;

/**
 * Locks the conversations, and reads the data that the policies need about the senders and the messages that were
 * stored with the idempotency keys.
 */
async function lockAndRead(sql: SqlTransaction, sends: readonly Send[], wait: boolean) {
  const pairOf = ({ conversationId, senderId: userId }: Send) => ({ conversationId, userId });
  const pairName = ({ conversationId, senderId }: Send) => `${conversationId} ${senderId}`;
  const pairs = new Map(sends.map((send) => [pairName(send), pairOf(send)]));
  const keys = sends.flatMap(({ senderId, clientMessageId }) =>
    clientMessageId === null ? [] : [{ senderId, clientMessageId }],
  );
  if (wait) await setLockTimeout(sql, LOCK_TIMEOUT_MS);
  const lock = () => lockForSenders(sql, [...pairs.values()], keys, { wait });
  let read = await lock();
  if (wait || !read.fresh) {
    // Another transaction changed a conversation before it was locked. Under the lock, the second read is current.
    // Conversations that only the second read locked are not used in this batch.
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
    stored: new Map<string, FirstSend>(
      first.map((message) => [keyOf(message) ?? '', { message, inputHash: message.inputHash }]),
    ),
  };
}
