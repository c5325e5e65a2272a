import { z } from 'zod';
import { badInput, ChatError, limitReached, notFound } from '../../core/errors.js';
import { newId } from '../../core/ids.js';
import { type Page, type PageArgs, readPage } from '../../core/page.js';
import { isStorable, isVisible } from '../../core/text/characters.js';
import type { StatusMute, StatusView, User } from '../../generated/prisma/client.js';
import type { SqlTransaction, Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput, hashInput } from '../../platform/input.js';
import { definePersonRate, take } from '../../platform/rates.js';
import type { Viewer } from '../../platform/viewer.js';
import { requireUsable } from '../media/media.policy.js';
import { lockUploads } from '../media/media.store.js';
import { clientKey } from '../user/user.input.js';
import { lockActiveForCount, requireActiveViewer } from '../user/user.store.js';
import { recordSettingsChanged } from '../viewer-changes/viewer-changes.events.js';
import { recordStatusChange, STATUS_DELETED, STATUS_POSTED } from './status.events.js';
import {
  type Audience,
  attachFile,
  countAudience,
  deleteStatusRow,
  type FeedStatus,
  findAudience,
  findExisting,
  findFeed,
  findOwn,
  findPosted,
  listAudience,
  listMutes,
  listViews,
  type Posted,
  readClock,
  type Status,
  type StatusAudienceMode,
  storeStatus,
  storeViews,
} from './status.store.js';
import { statusTracker } from './status.tracker.js';

/** The maximum length of the name of a style in UTF-16 code units. */
const STYLE_MAX_CHARS = 64;

const statusPerPerson = definePersonRate(
  'You are posting statuses too quickly. Try again later.',
  ({ rateStatusPerPerson }) => rateStatusPerPerson,
);

const posted = z.object({
  clientStatusId: clientKey('A clientStatusId', 128),
  text: z
    .string()
    .trim()
    .refine(isStorable, 'The text must not contain NUL characters or unpaired surrogates.')
    .refine((text) => text === '' || isVisible(text), 'The text must contain at least one visible character.')
    .nullish(),
  style: clientKey('A style', STYLE_MAX_CHARS).nullish(),
});

/** An audience as clients give it. */
export interface AudienceInput {
  mode: StatusAudienceMode;
  userIds?: readonly string[] | null | undefined;
}

/** A status to post. The ids are those of rows. */
export interface PostInput {
  clientStatusId: string;
  text?: string | null | undefined;
  style?: string | null | undefined;
  attachmentId?: string | null | undefined;
  audience?: AudienceInput | null | undefined;
}

const ATTACHMENT = 'input.attachmentId';

/**
 * Posts a status. Its audience is fixed now, and can only become smaller. Repeating the same input with the same
 * `clientStatusId` returns the first result.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of a user in the audience; NOT_FOUND, CONFLICT or BAD_USER_INPUT of
 *   `input.attachmentId`; CONFLICT of `input.clientStatusId`: it was used with another input; FORBIDDEN: too many statuses;
 *   RATE_LIMITED.
 */
export async function postStatus(deps: Deps, viewer: Viewer, input: PostInput): Promise<Status> {
  const { clientStatusId, style, ...checked } = checkInput(posted, input);
  const { statusMaxChars, statusesMax, statusTtlMs } = deps.config;
  const text = checked.text || null;
  const attachmentId = input.attachmentId ?? null;
  if (text === null && attachmentId === null) throw badInput('input.text', 'A status needs a text or an attachment.');
  if (text !== null && text.length > statusMaxChars) {
    throw badInput('input.text', `A status can have at most ${statusMaxChars} characters.`, 'statusMaxChars');
  }
  const given = input.audience ? readAudience(deps, input.audience, 'input.audience') : undefined;
  const inputHash = hashInput(
    ...[text, style ?? null, attachmentId, given?.mode ?? null, ...[...(given?.listedIds ?? [])].sort()],
  );
  take(deps, statusPerPerson, viewer);
  const { userId: authorId } = viewer;
  const wanted = { id: newId(), authorId, clientStatusId, inputHash, text, style: style ?? null };
  return deps.database.sql.transaction(async (sql) => {
    // Also lets a retry wait for the first call.
    await lockActiveForCount(sql, 'statuses', viewer);
    // What the first call has used up must not be refused to a retry.
    const first = given || attachmentId !== null ? await findPosted(sql, wanted) : undefined;
    if (first) return repeated(first);
    if (given) await requireUsers(sql, given, 'input.audience');
    if (attachmentId !== null) await takeFile(deps, sql, viewer, attachmentId);
    const stored = await storeStatus(sql, wanted, { audience: given, ttlMs: statusTtlMs, max: statusesMax });
    if (!stored) {
      const message = `You can have at most ${statusesMax} statuses. Delete one, or wait until one expires.`;
      throw limitReached('statusesMax', message);
    }
    if (!stored.isNew) return repeated(stored);
    if (attachmentId !== null) await attachFile(sql, wanted.id, attachmentId);
    recordStatusChange(sql, STATUS_POSTED, wanted);
    return stored.status;
  });
}

function repeated({ status, isSame }: Posted): Status {
  if (isSame) return status;
  const message = 'This clientStatusId was already used with another input.';
  throw new ChatError('CONFLICT', message, { field: 'input.clientStatusId' });
}

/** Checks that an upload can be shown by a status. */
async function takeFile({ config }: Deps, sql: SqlTransaction, viewer: Viewer, attachmentId: string): Promise<void> {
  const [upload] = await lockUploads(sql, [attachmentId]);
  requireUsable(upload, viewer, ATTACHMENT);
  if (upload?.kind !== 'IMAGE' && upload?.kind !== 'VIDEO') {
    throw badInput(ATTACHMENT, 'A status can show an upload of kind IMAGE or VIDEO.');
  }
  if (isTooLong(config, upload)) {
    const message = `A video in a status can last at most ${config.statusVideoMaxMs / 1_000} seconds.`;
    throw badInput(ATTACHMENT, message, 'statusVideoMaxMs');
  }
}

/** Whether a video is longer than a status can show. The length is not known before the file has been processed. */
export const isTooLong = (
  { statusVideoMaxMs }: Deps['config'],
  { kind, durationMs }: { kind: string; durationMs: number | null },
): boolean => kind === 'VIDEO' && (durationMs ?? 0) > statusVideoMaxMs;

/**
 * Deletes a status of the viewer, with its file. Idempotent.
 * @throws {ChatError} NOT_FOUND of `input.statusId`.
 */
export async function deleteStatus({ database }: Deps, viewer: Viewer, statusId: string): Promise<void> {
  await database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const deleted = await deleteStatusRow(tx, viewer.userId, statusId);
    if (!deleted) throw notFound('input.statusId', 'Status');
    if (deleted.isLive) recordStatusChange(tx, STATUS_DELETED, { id: statusId, authorId: viewer.userId });
  });
}

/**
 * Records that the viewer has viewed statuses. Those that the viewer cannot see are skipped.
 * @returns the others, in the order of the ids.
 * @throws {ChatError} BAD_USER_INPUT of `input.statusIds`: there are too many.
 */
export async function markStatusesViewed(deps: Deps, viewer: Viewer, statusIds: readonly string[]): Promise<Status[]> {
  const { statusesMax } = deps.config;
  if (statusIds.length > statusesMax) {
    throw badInput('input.statusIds', `You can mark at most ${statusesMax} statuses at once.`, 'statusesMax');
  }
  const stored = await storeViews(deps.database.sql, viewer.userId, statusIds);
  const seen = stored.flatMap(({ status, isNew }) => (isNew ? [status] : []));
  statusTracker.of(deps).viewed(viewer.userId, seen);
  return stored.map(({ status }) => status);
}

/** The live statuses of one author. */
export interface FeedEntry {
  author: User;
  statuses: FeedStatus[];
  hasUnviewed: boolean;
  muted: boolean;
}

/** The statuses that the viewer can see, by author: those with something new first, then by their newest status. */
export async function feedOf({ database }: Deps, { userId }: Viewer, withMuted: boolean): Promise<FeedEntry[]> {
  const byAuthor = new Map<string, FeedStatus[]>();
  for (const status of await findFeed(database.sql, userId, withMuted)) {
    const statuses = byAuthor.get(status.authorId);
    if (statuses) statuses.push(status);
    else byAuthor.set(status.authorId, [status]);
  }
  const entries = [...byAuthor.values()].flatMap((statuses): FeedEntry[] => {
    const [first] = statuses;
    if (!first) return [];
    const { author, isMuted } = first;
    return [{ author, statuses, hasUnviewed: statuses.some(({ isViewed }) => !isViewed), muted: isMuted }];
  });
  const newest = ({ statuses }: FeedEntry) => statuses.at(-1)?.createdAt.getTime() ?? 0;
  return entries.sort(
    (one, other) => Number(other.hasUnviewed) - Number(one.hasUnviewed) || newest(other) - newest(one),
  );
}

/** The viewer's own statuses that have not expired, oldest first. */
export const ownStatuses = ({ database }: Deps, { userId }: Viewer): Promise<Status[]> => findOwn(database.sql, userId);

/** The present time by the clock that decides whether a status has expired. */
export const currentTime = ({ database }: Deps): Promise<Date> => readClock(database.sql);

/** The audience of the viewer's next status. */
export const audienceOf = ({ database }: Deps, { userId }: Viewer): Promise<Audience> =>
  findAudience(database.db, userId);

/** A page of those who have viewed a status, latest first. */
export const pageOfViews = ({ database, config }: Deps, statusId: string, args: PageArgs): Promise<Page<StatusView>> =>
  readPage(args, config, {
    name: `status-views:${statusId}`,
    keys: ['date', 'uuid'],
    read: (page) => listViews(database.db, statusId, page),
    keysetOf: (row) => [row.viewedAt, row.viewerId],
  });

/** A page of the authors whose statuses the viewer has muted, latest first. */
export const pageOfMutes = (
  { database, config }: Deps,
  { userId }: Viewer,
  args: PageArgs,
): Promise<Page<StatusMute & { author: User }>> =>
  readPage(args, config, {
    name: `status-mutes:${userId}`,
    keys: ['date', 'uuid'],
    read: (page) => listMutes(database.db, userId, page),
    keysetOf: (row) => [row.mutedAt, row.authorId],
  });

/**
 * A page of exactly those users who would see a status that the viewer posted now, and their number.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function previewAudience(
  deps: Deps,
  { userId }: Viewer,
  { audience, ...args }: PageArgs & { audience?: AudienceInput | null | undefined },
): Promise<{ page: Page<User>; count: () => Promise<number> }> {
  const { database, config } = deps;
  const wanted = audience ? readAudience(deps, audience, 'audience') : await findAudience(database.db, userId);
  const page = await readPage(args, config, {
    name: `status-audience:${userId}`,
    keys: ['uuid'],
    read: (request) => listAudience(database.sql, userId, wanted, request),
    keysetOf: (row) => [row.id],
  });
  return { page, count: () => countAudience(database.sql, userId, wanted) };
}

/**
 * Sets the audience of the viewer's next statuses, for all devices.
 * @throws {ChatError} BAD_USER_INPUT; NOT_FOUND of a user.
 */
export async function setStatusAudience(deps: Deps, viewer: Viewer, input: AudienceInput): Promise<User> {
  const { mode, listedIds } = readAudience(deps, input, 'input');
  const { userId } = viewer;
  return deps.database.transaction(async (tx) => {
    const user = await requireActiveViewer(tx, viewer);
    await requireUsers(tx, { mode, listedIds }, 'input');
    const data = { mode, listedIds: [...listedIds] };
    await tx.statusAudience.upsert({ where: { userId }, create: { userId, ...data }, update: data });
    recordSettingsChanged(tx, userId);
    return user;
  });
}

/**
 * Sets whether the viewer's views are reported to authors. If not, the viewer cannot see who has viewed their
 * statuses either. Earlier views are not changed.
 */
export async function setStatusViewsReported(deps: Deps, viewer: Viewer, isReported: boolean): Promise<User> {
  const { userId } = viewer;
  return deps.database.transaction(async (tx) => {
    const user = await requireActiveViewer(tx, viewer);
    if (isReported) await tx.statusViewsHidden.deleteMany({ where: { userId } });
    else await tx.statusViewsHidden.createMany({ data: { userId }, skipDuplicates: true });
    recordSettingsChanged(tx, userId);
    return user;
  });
}

/**
 * Sets whether the viewer does not want to see the statuses of a user. The user is not notified. Idempotent.
 * @throws {ChatError} BAD_USER_INPUT of `input.userId`: it is the viewer; NOT_FOUND.
 */
export async function muteStatuses(
  { database }: Deps,
  viewer: Viewer,
  { userId, muted }: { userId: string; muted: boolean },
): Promise<User> {
  const field = 'input.userId';
  if (userId === viewer.userId) throw badInput(field, 'You cannot mute your own statuses.');
  const data = { ownerId: viewer.userId, authorId: userId };
  return database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const user = await tx.user.findUnique({ where: { id: userId } });
    if (!user || (muted && user.deletedAt)) throw notFound(field, 'User');
    if (muted) await tx.statusMute.createMany({ data, skipDuplicates: true });
    else await tx.statusMute.deleteMany({ where: data });
    recordSettingsChanged(tx, viewer.userId);
    return user;
  });
}

/**
 * Checks an audience.
 * @throws {ChatError} BAD_USER_INPUT of `userIds` in `path`.
 */
function readAudience({ config: { statusListedMax } }: Deps, { mode, userIds }: AudienceInput, path: string): Audience {
  const listedIds = [...new Set(userIds ?? [])];
  const field = `${path}.userIds`;
  if (mode === 'CONTACTS' && listedIds.length > 0) throw badInput(field, 'The mode CONTACTS has no list of users.');
  if (listedIds.length > statusListedMax) {
    throw badInput(field, `An audience can name at most ${statusListedMax} users.`, 'statusListedMax');
  }
  return { mode, listedIds };
}

async function requireUsers(tx: Tx | SqlTransaction, { listedIds }: Audience, path: string): Promise<void> {
  const existing = await findExisting(tx, listedIds);
  const missing = listedIds.findIndex((id) => !existing.has(id));
  if (missing !== -1) throw notFound(`${path}.userIds.${missing}`, 'User');
}
