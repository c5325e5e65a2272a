import { ChatError } from '../core/errors.js';
import { newId } from '../core/ids.js';
import { conversationChangeTypes } from '../domain/conversation/conversation.events.js';
import { directKeyOf } from '../domain/conversation/conversation.store.js';
import { edited } from '../domain/edit/edit.part.js';
import { messageChangeTypes } from '../domain/message/message.events.js';
import type { MessageChangeType } from '../domain/message/message.part.js';
import { pinned } from '../domain/pin/pin.part.js';
import { reacted } from '../domain/reaction/reaction.part.js';
import { indexing } from '../domain/search/search.index.js';
import { caseKey, searchWordsOf } from '../domain/user/user.store.js';
import type { Prisma } from '../generated/prisma/client.js';
import { isUniqueViolation, type Tx } from '../infra/database/database.js';
import type { Deps } from '../platform/deps.js';
import { hashInput } from '../platform/input.js';
import type { ComposedStatus, Demo, DemoConversation, DemoMessage } from './compose.js';
import { DEMO_PASSWORD, emailOf, people } from './people.js';

/**
 * The number of rows per INSERT: PostgreSQL supports 65,535 parameters, and no row has more than fourteen columns. A
 * statement of this size stays far below the time limit of statements (DATABASE_STATEMENT_TIMEOUT), on slow machines as well.
 */
const BATCH = 500;

/** Statuses are at most this old, in milliseconds, even if they can be seen for longer: their authors exist since then. */
const STATUS_AGE_MAX_MS = 86_400_000;

/** The maximum duration of storing the demo in milliseconds. It takes a few seconds, but minutes on a very slow machine. */
const STORING_MAX_MS = 600_000;

const emailKeyOf = (person: { username: string }) => caseKey(emailOf(person));

/**
 * Whether the demo is already stored in this database.
 * @throws {ChatError} CONFLICT if another user has a username or an email address of the demo.
 */
async function isStored({ database: { db } }: Deps): Promise<boolean> {
  const taken = await db.user.findMany({
    where: {
      OR: [
        { usernameKey: { in: people.map(({ username }) => caseKey(username)) } },
        { credential: { emailKey: { in: people.map(emailKeyOf) } } },
      ],
    },
    include: { credential: { select: { emailKey: true } } },
    orderBy: { usernameKey: 'asc' },
  });
  const ours = people.map((person) => `${caseKey(person.username)} ${emailKeyOf(person)}`);
  if (taken.some(({ usernameKey, credential }) => ours.includes(`${usernameKey} ${credential?.emailKey}`))) return true;
  if (taken.length === 0) return false;
  throw new ChatError(
    'CONFLICT',
    `The demo contains users whose names or email addresses are already taken: ${taken.map(({ username }) => username).join(', ')}.\nNothing was changed. Use another database (DATABASE_URL), or another directory for the embedded one (DATA_DIR).`,
  );
}

/**
 * Stores the whole demo in one transaction, with the same rows as if the services had been called.
 * @returns false if it was already stored.
 * @throws {ChatError} CONFLICT if another user has a username or an email address of the demo.
 */
export async function storeDemo(deps: Deps, demo: Demo): Promise<boolean> {
  if (await isStored(deps)) return false;
  const passwordHash = await deps.passwords.hash(DEMO_PASSWORD);
  try {
    const rows = rowsOf(demo, passwordHash, deps.config.statusTtlMs);
    await deps.database.transaction((tx) => insertAll(tx, rows), { timeoutMs: STORING_MAX_MS });
  } catch (error) {
    // The demo was seeded, or a user registered, at the same time.
    if (isUniqueViolation(error) && (await isStored(deps))) return false;
    throw error;
  }
  await indexing.of(deps).finish();
  // Otherwise a node on the embedded database would plan queries without statistics during its first minutes.
  await deps.database.db
    .$executeRaw`ANALYZE users, credentials, conversations, memberships, marks, messages, changes, reaction_groups, reactions,
                contacts, statuses, status_views`;
  return true;
}

interface Rows {
  users: Prisma.UserCreateManyInput[];
  credentials: Prisma.CredentialCreateManyInput[];
  conversations: Prisma.ConversationCreateManyInput[];
  memberships: Prisma.MembershipCreateManyInput[];
  marks: Prisma.MarkCreateManyInput[];
  messages: Prisma.MessageCreateManyInput[];
  reactionGroups: Prisma.ReactionGroupCreateManyInput[];
  reactions: Prisma.ReactionCreateManyInput[];
  changes: Prisma.ChangeCreateManyInput[];
  contacts: Prisma.ContactCreateManyInput[];
  statuses: Prisma.StatusCreateManyInput[];
  statusViews: Prisma.StatusViewCreateManyInput[];
}

async function insertAll(tx: Tx, rows: Rows): Promise<void> {
  for (const data of batches(rows.users)) await tx.user.createMany({ data });
  for (const data of batches(rows.credentials)) await tx.credential.createMany({ data });
  for (const data of batches(rows.conversations)) await tx.conversation.createMany({ data });
  for (const data of batches(rows.memberships)) await tx.membership.createMany({ data });
  for (const data of batches(rows.marks)) await tx.mark.createMany({ data });
  for (const data of batches(rows.messages)) await tx.message.createMany({ data });
  for (const data of batches(rows.reactionGroups)) await tx.reactionGroup.createMany({ data });
  for (const data of batches(rows.reactions)) await tx.reaction.createMany({ data });
  for (const data of batches(rows.changes)) await tx.change.createMany({ data });
  for (const data of batches(rows.contacts)) await tx.contact.createMany({ data });
  for (const data of batches(rows.statuses)) await tx.status.createMany({ data });
  for (const data of batches(rows.statusViews)) await tx.statusView.createMany({ data });
}

function* batches<Row>(rows: readonly Row[]): Generator<Row[]> {
  for (let from = 0; from < rows.length; from += BATCH) yield rows.slice(from, from + BATCH);
}

function rowsOf(demo: Demo, passwordHash: string, statusTtlMs: number): Rows {
  const rows: Rows = {
    users: [],
    credentials: [],
    conversations: [],
    memberships: [],
    marks: [],
    messages: [],
    reactionGroups: [],
    reactions: [],
    changes: [],
    contacts: [],
    statuses: [],
    statusViews: [],
  };
  const ids = new Map<string, string>();
  for (const [index, person] of people.entries()) {
    const { username, displayName, bio } = person;
    const id = newId();
    ids.set(username, id);
    rows.users.push({
      id,
      username,
      usernameKey: caseKey(username),
      displayName,
      bio,
      searchWords: searchWordsOf({ username, displayName }),
      createdAt: new Date(demo.peopleSince.getTime() - (people.length - index) * 3_600_000),
    });
    rows.credentials.push({ userId: id, email: emailOf(person), emailKey: emailKeyOf(person), passwordHash });
  }
  const idOf = (username: string): string => {
    const id = ids.get(username);
    if (id === undefined) throw new Error(`No user has the name ${username}.`);
    return id;
  };
  for (const conversation of demo.conversations) addConversation(rows, conversation, idOf);
  for (const status of demo.statuses) addStatus(rows, status, { idOf, now: demo.now, ttlMs: statusTtlMs });
  return rows;
}

/** Adds a status of a user, and its views by a part of the contacts. */
function addStatus(
  rows: Rows,
  { author, text, style, age, viewers }: ComposedStatus,
  { idOf, now, ttlMs }: { idOf: (username: string) => string; now: Date; ttlMs: number },
): void {
  const [id, authorId] = [newId(), idOf(author)];
  const passedMs = Math.round(age * Math.min(ttlMs, STATUS_AGE_MAX_MS));
  const createdAt = new Date(now.getTime() - passedMs);
  rows.statuses.push({
    id,
    authorId,
    clientStatusId: id,
    inputHash: hashInput(text, style, null, null),
    text,
    style,
    audience: 'CONTACTS',
    createdAt,
    expiresAt: new Date(createdAt.getTime() + ttlMs),
  });
  for (const { username, after } of viewers) {
    const viewedAt = new Date(createdAt.getTime() + Math.round(after * passedMs));
    rows.statusViews.push({ statusId: id, viewerId: idOf(username), viewedAt, isReported: true });
  }
}

interface DemoEvent {
  at: Date;
  change: MessageChangeType;
  messageId: string;
  actor: string;
  /** Only for reactions. */
  emoji?: string;
}

function addConversation(rows: Rows, conversation: DemoConversation, idOf: (username: string) => string): void {
  const { place, createdAt, messages } = conversation;
  const id = newId();
  const [createdById = '', ...others] = place.members.map(idOf);
  const changes: Prisma.ChangeCreateManyInput[] = [
    {
      conversationId: id,
      changeSeq: 1,
      type: conversationChangeTypes.created,
      messageId: null,
      actorId: createdById,
      createdAt,
    },
  ];
  const events: DemoEvent[] = [];
  for (const [index, message] of messages.entries()) {
    const messageId = newId();
    rows.messages.push(messageRow(message, messageId, id, index + 1, idOf));
    events.push({ at: message.at, change: messageChangeTypes.sent, messageId, actor: message.sender });
    if (message.editedAt) events.push({ at: message.editedAt, change: edited, messageId, actor: message.sender });
    if (message.deleted) {
      events.push({ at: message.deleted.at, change: messageChangeTypes.deleted, messageId, actor: message.deleted.by });
    }
    if (message.pinned) events.push({ at: message.pinned.at, change: pinned, messageId, actor: message.pinned.by });
    for (const { at, emoji, by } of message.reactions) {
      events.push({ at, change: reacted, messageId, actor: by, emoji });
    }
  }
  // Numbers the changes in chronological order. The sort is stable, so changes of the same millisecond keep the order
  // of the messages.
  events.sort((one, other) => one.at.getTime() - other.at.getTime());
  const groups = new Map<string, Prisma.ReactionGroupCreateManyInput>();
  for (const { at, change, messageId, actor, emoji } of events) {
    const changeSeq = changes.length + 1;
    if (emoji !== undefined) {
      const key = `${messageId} ${emoji}`;
      const group = groups.get(key) ?? { messageId, emoji, count: 0, sinceChangeSeq: changeSeq };
      groups.set(key, { ...group, count: group.count + 1 });
      rows.reactions.push({ messageId, emoji, userId: idOf(actor), changeSeq });
    }
    changes.push({
      conversationId: id,
      changeSeq,
      type: change.type,
      messageId,
      actorId: idOf(actor),
      createdAt: at,
    });
  }
  rows.reactionGroups.push(...groups.values());
  rows.conversations.push({
    id,
    createdById,
    createdAt,
    lastActivityAt: messages.at(-1)?.at ?? createdAt,
    latestSeq: messages.length,
    changeSeq: changes.length,
    memberCount: place.members.length,
    ...(place.group
      ? { kind: 'GROUP', ...place.group }
      : { kind: 'DIRECT', directKey: directKeyOf(createdById, others[0] ?? '') }),
  });
  for (const userId of [createdById, ...others]) {
    const role = place.group && userId === createdById ? 'OWNER' : 'MEMBER';
    rows.memberships.push({ id: newId(), conversationId: id, userId, role, joinedAt: createdAt });
    rows.marks.push(markRow(conversation, id, userId, idOf));
  }
  if (!place.group) {
    const [otherId = ''] = others;
    rows.contacts.push(
      { ownerId: createdById, userId: otherId, addedAt: createdAt },
      { ownerId: otherId, userId: createdById, addedAt: createdAt },
    );
  }
  rows.changes.push(...changes);
}

/** The maximum number of unread messages of a member. */
const UNREAD_MAX = 3;

/** Each member has read all messages up to their own last one, and all but a few of the later ones. */
function markRow(
  { messages, createdAt }: DemoConversation,
  conversationId: string,
  userId: string,
  idOf: (username: string) => string,
): Prisma.MarkCreateManyInput {
  const ownSeq = messages.findLastIndex(({ sender }) => idOf(sender) === userId) + 1;
  const readSeq = Math.max(ownSeq, messages.length - UNREAD_MAX, 0);
  const at = (seq: number) => messages[seq - 1]?.at ?? createdAt;
  return {
    conversationId,
    userId,
    deliveredSeq: messages.length,
    readSeq,
    deliveredAt: at(messages.length),
    readAt: at(readSeq),
  };
}

const messageRow = (
  { sender, text, at, editedAt, deleted, answers, pinned }: DemoMessage,
  id: string,
  conversationId: string,
  seq: number,
  idOf: (username: string) => string,
): Prisma.MessageCreateManyInput => ({
  id,
  conversationId,
  seq,
  senderId: idOf(sender),
  text,
  createdAt: at,
  editedAt,
  deletedAt: deleted?.at ?? null,
  replyToSeq: answers === null ? null : answers + 1,
  pinnedAt: pinned?.at ?? null,
});
