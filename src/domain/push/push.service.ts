import { z } from 'zod';
import { badInput, notFound, unauthenticated } from '../../core/errors.js';
import { isStorable } from '../../core/text/characters.js';
import { parseUrl } from '../../core/urls.js';
import type { Prisma } from '../../generated/prisma/client.js';
import type { SqlTransaction } from '../../infra/database/database.js';
import { announceAfterCommit } from '../../infra/database/unit-of-work.js';
import { createDestinations } from '../../infra/outgoing/destinations.js';
import { readPushKeys } from '../../infra/push/encryption.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import type { Viewer } from '../../platform/viewer.js';
import { conversationChangeTypes } from '../conversation/conversation.events.js';
import { MEMBERSHIP_SETTINGS } from '../conversation/membership-settings.js';
import { messageChangeTypes } from '../message/message.events.js';
import type { NotifierBatch } from '../notifier/notifier.sources.js';
import { lockActiveViewer } from '../user/user.store.js';
import { attention } from './attention.js';
import { enqueueBadges, enqueueOtherBadges } from './badge.store.js';
import {
  type Device,
  enqueueMentions,
  enqueueMessages,
  enqueueSubjects,
  holdSession,
  listSubscriptions,
  type PushSubscription,
  storeSubscription,
  trimSubscriptions,
} from './push.store.js';
import { pushesEnqueued } from './push.worker.js';
import { newMessagesOf, SENT } from './recipients.js';

/** The maximum length of an endpoint, and of a push key of a gateway (that of Matrix' specification). */
const ENDPOINT_MAX = 2_000;
const PUSH_KEY_MAX = 512;
const APP_ID_MAX = 64;

const shortText = (what: string, max: number) =>
  z
    .string()
    .min(1, `${what} must not be empty.`)
    .max(max, `${what} can have at most ${max} characters.`)
    .refine(isStorable, `${what} must not contain NUL characters.`);
const input = z.object({
  web: z.object({ endpoint: z.string(), p256dh: z.string(), auth: z.string() }).nullish(),
  gateway: z
    .object({ appId: shortText('An app id', APP_ID_MAX), pushKey: shortText('A push key', PUSH_KEY_MAX) })
    .nullish(),
});

/**
 * Registers the device of the viewer's session for pushes. A device that is registered again keeps its subscription, unless
 * another user had registered it. Beyond the maximum number of devices, the oldest subscription ends.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function registerPush(
  deps: Deps,
  viewer: Viewer,
  given: z.input<typeof input>,
): Promise<PushSubscription> {
  const device = readDevice(deps, checkInput(input, given));
  const { database, config } = deps;
  return database.transaction(async (tx) => {
    // Serializes calls of one user, whose subscriptions are counted.
    await lockActiveViewer(tx, viewer);
    // A session that ends later takes the subscription with it.
    if (!(await holdSession(tx, viewer.sessionId))) throw unauthenticated('This session has ended.');
    const subscription = await storeSubscription(tx, viewer, device);
    await trimSubscriptions(tx, viewer.userId, config.pushSubscriptionsMax);
    return subscription;
  });
}

function readDevice({ config }: Deps, { web, gateway }: z.output<typeof input>): Device {
  if (web && gateway) throw badInput('input.gateway', 'Give either `web` or `gateway`, not both.');
  if (gateway) {
    if (config.pushGatewayUrl === undefined) throw badInput('input.gateway', 'This server has no push gateway.');
    return { kind: 'GATEWAY', appId: gateway.appId, endpoint: gateway.pushKey, p256dh: null, auth: null };
  }
  if (!web) throw badInput('input.web', 'Give either `web` or `gateway`.');
  if (!config.webPush) throw badInput('input.web', 'Web Push is switched off on this server.');
  const url = web.endpoint.length <= ENDPOINT_MAX ? parseUrl(web.endpoint) : undefined;
  // Whether its host has public addresses only is checked for each connection.
  if (!url || url.href.length > ENDPOINT_MAX || !createDestinations(config.pushHosts).reachOf(url)) {
    throw badInput('input.web.endpoint', 'This is not the URL of a push service that this server uses.');
  }
  const { p256dh, auth } = readPushKeys(web);
  if (!p256dh) throw badInput('input.web.p256dh', 'This is not a public key on the curve P-256 in base64url.');
  if (!auth) throw badInput('input.web.auth', 'This is not a secret of 16 bytes in base64url.');
  // The fragment is not sent, and would make two subscriptions of one endpoint.
  url.hash = '';
  return { kind: 'WEB', appId: '', endpoint: url.href, p256dh, auth };
}

/** The viewer's devices that receive pushes, the newest first. */
export const pushSubscriptionsOf = ({ database, config }: Deps, { userId }: Viewer): Promise<PushSubscription[]> =>
  listSubscriptions(database.db, userId, config.pushSubscriptionsMax);

/**
 * Ends a subscription of the viewer.
 * @throws {ChatError} NOT_FOUND: it is not a subscription of the viewer, or has ended.
 */
export async function removePush({ database }: Deps, { userId }: Viewer, id: string): Promise<void> {
  const { count } = await database.db.pushSubscription.deleteMany({ where: { id, userId } });
  if (count === 0) throw notFound('input.pushSubscriptionId', 'Push subscription');
}

/** Reports whether the viewer is looking at the device of their session. */
export const setAttention = (deps: Deps, { userId, sessionId }: Viewer, isActive: boolean): void =>
  attention.of(deps).report({ userId, sessionId, isActive });

/** Adds jobs that send gateways the number of unread messages of users who have read some. */
export async function enqueueReadBadges({ config }: Deps, sql: SqlTransaction, moved: Prisma.Sql): Promise<void> {
  if (config.pushGatewayUrl !== undefined) await enqueueBadges(sql, moved, config.pushBadgeDelayMs);
}

const DELETED = messageChangeTypes.deleted.type;
const LEFT = conversationChangeTypes.memberLeft;

/** The types of changes with which pushes, or numbers of unread messages, are enqueued. */
export const enqueuedTypes: readonly string[] = [SENT, DELETED, LEFT, MEMBERSHIP_SETTINGS];

/** Does the same for users who have left a conversation, have muted one, or whose unread messages were deleted. */
async function enqueueChangedBadges(
  { config }: Pick<Deps, 'config'>,
  sql: SqlTransaction,
  changes: NotifierBatch['changes'],
): Promise<void> {
  if (config.pushGatewayUrl === undefined) return;
  const deletedIds = changes.flatMap(({ type, messageId }) => (type === DELETED ? (messageId ?? []) : []));
  const userIds = changes.flatMap(({ type, subjectId, conversationId }) => {
    if (type === LEFT) return subjectId ?? [];
    // In the log of the user.
    return type === MEMBERSHIP_SETTINGS ? conversationId : [];
  });
  if (deletedIds.length + userIds.length === 0) return;
  await enqueueOtherBadges(sql, { deletedIds, userIds }, config.pushBadgeDelayMs);
}

/**
 * Adds pushes for what the notifier has read to its transaction: new messages, and messages that concern a user since they
 * were edited. Whether a push is sent is decided when it is due.
 */
export async function enqueuePushes(
  deps: Pick<Deps, 'config'>,
  sql: SqlTransaction,
  { changes, added }: Pick<NotifierBatch, 'changes' | 'added'>,
): Promise<void> {
  const messages = newMessagesOf(changes);
  const late = added.flatMap(({ kind, userId, conversationId, seq }) =>
    kind === 'MENTION' && conversationId !== null && seq !== null ? { userId, conversationId, seq } : [],
  );
  let count = 0;
  if (messages.ids.length > 0) count += await enqueueMessages(sql, messages, deps.config);
  if (late.length > 0) count += await enqueueMentions(sql, late);
  if (count > 0) announceAfterCommit(sql, pushesEnqueued, true);
  await enqueueChangedBadges(deps, sql, changes);
}

/**
 * Adds pushes about something other than messages to a transaction. `recipients` selects `user_id`, `conversation_id` and
 * `subject_id`.
 */
export async function enqueueSubject(sql: SqlTransaction, type: string, recipients: Prisma.Sql): Promise<void> {
  if ((await enqueueSubjects(sql, type, recipients)) > 0) announceAfterCommit(sql, pushesEnqueued, true);
}
