import { z } from 'zod';
import { badInput, ChatError, notFound } from '../../core/errors.js';
import type { Membership } from '../../generated/prisma/client.js';
import type { Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { checkInput } from '../../platform/input.js';
import type { Viewer } from '../../platform/viewer.js';
import { isPublic } from '../conversation/conversation.policy.js';
import { lockMembershipShared } from '../conversation/conversation.store.js';
import { recordMembershipSettings } from '../conversation/membership-settings.js';
import { lockActiveViewer, requireActiveViewer } from '../user/user.store.js';
import { recordSettingsChanged } from '../viewer-changes/viewer-changes.events.js';
import { type NotificationLevel, type NotificationSettings, storeMemberSettings } from './notification.store.js';
import { isTimeZone } from './quiet-hours.js';

/**
 * Sets what the viewer is notified of in one conversation; null stands for their default. Setting the same level again
 * changes nothing.
 * @throws {ChatError} NOT_FOUND or FORBIDDEN of `input.conversationId`: the viewer is not a member.
 */
export const setNotificationLevel = (
  deps: Deps,
  viewer: Viewer,
  { conversationId, level }: { conversationId: string; level: NotificationLevel | null },
): Promise<Membership> => changeMembership(deps, viewer, conversationId, { level });

/**
 * Mutes a conversation until a moment; null unmutes it. Nothing in it notifies the viewer until then.
 * @throws {ChatError} BAD_USER_INPUT of `input.until`: it has passed; NOT_FOUND or FORBIDDEN of `input.conversationId`:
 *   the viewer is not a member.
 */
export async function muteConversation(
  deps: Deps,
  viewer: Viewer,
  { conversationId, until }: { conversationId: string; until: Date | null },
): Promise<Membership> {
  if (until) requireFuture('input.until', until);
  return changeMembership(deps, viewer, conversationId, { mutedUntil: until });
}

function requireFuture(field: string, moment: Date): void {
  if (moment.getTime() <= Date.now()) throw badInput(field, 'This time has already passed.');
}

function changeMembership(
  { database }: Deps,
  viewer: Viewer,
  conversationId: string,
  setting: Parameters<typeof storeMemberSettings>[2],
): Promise<Membership> {
  return database.transaction(async (tx) => {
    await requireActiveViewer(tx, viewer);
    const membership = await lockMembershipShared(tx, conversationId, viewer.userId);
    if (!membership) throw await notAMember(tx, conversationId);
    if (await storeMemberSettings(tx, membership, setting)) recordMembershipSettings(tx, membership);
    return membership;
  });
}

async function notAMember(tx: Tx, conversationId: string): Promise<ChatError> {
  const field = 'input.conversationId';
  const conversation = await tx.conversation.findUnique({
    where: { id: conversationId },
    select: { visibility: true },
  });
  if (!conversation || !isPublic(conversation)) return notFound(field, 'Conversation');
  return new ChatError('FORBIDDEN', 'You are not a member of this group. Join it first.', {
    field,
    reason: 'NOT_A_MEMBER',
  });
}

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, 'A time of day must have the form HH:MM, from 00:00 to 23:59.');
/** The maximum length of a language tag in characters. */
const LOCALE_MAX = 35;

function isLocale(text: string): boolean {
  try {
    return Intl.getCanonicalLocales(text).length === 1;
  } catch {
    return false;
  }
}

const settingsInput = z.object({
  defaultLevel: z.enum(['ALL', 'MENTIONS', 'NONE']).nullish(),
  doNotDisturbUntil: z
    .date()
    .refine((moment) => moment.getTime() > Date.now(), 'This time has already passed.')
    .nullish(),
  quietHours: z
    .object({
      from: timeOfDay,
      to: timeOfDay,
      timeZone: z
        .string()
        .refine(isTimeZone, 'A time zone must be the name of an IANA time zone, such as Europe/Berlin, or UTC.'),
    })
    .refine(({ from, to }) => from !== to, {
      path: ['to'],
      error: 'Quiet hours must end at another time than they begin.',
    })
    .nullish(),
  pushPreview: z.enum(['FULL', 'SENDER', 'NOTHING']).nullish(),
  emailDigest: z.boolean().nullish(),
  locale: z
    .string()
    .max(LOCALE_MAX, `A language tag can have at most ${LOCALE_MAX} characters.`)
    .refine(isLocale, 'A language must be a BCP 47 tag, such as en or de-AT.')
    .nullish(),
});

/**
 * Changes the notification settings of the viewer. Absent fields are unchanged; null ends quiet hours and "do not
 * disturb", and resets the other fields to the defaults of the service. Values equal to the present ones have no effect.
 * @throws {ChatError} BAD_USER_INPUT.
 */
export async function updateNotificationSettings(
  { database }: Deps,
  viewer: Viewer,
  input: z.input<typeof settingsInput>,
): Promise<void> {
  const { quietHours, ...given } = checkInput(settingsInput, input);
  const { userId } = viewer;
  await database.transaction(async (tx) => {
    // Serializes concurrent calls: each must compare with the values that the previous one has stored.
    await lockActiveViewer(tx, viewer);
    const before = (await tx.notificationSettings.findUnique({ where: { userId } })) ?? unchangedSettings(userId);
    const quiet =
      quietHours === undefined
        ? {}
        : {
            quietFrom: quietHours?.from ?? null,
            quietTo: quietHours?.to ?? null,
            quietTimeZone: quietHours?.timeZone ?? null,
          };
    const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const after: NotificationSettings = { ...before, ...defined, ...quiet };
    if (Object.entries(after).every(([name, value]) => isEqual(value, before[name as keyof NotificationSettings])))
      return;
    await tx.notificationSettings.upsert({ where: { userId }, create: after, update: after });
    if (after.defaultLevel !== before.defaultLevel) {
      await tx.pastNotificationLevel.create({ data: { userId, level: before.defaultLevel } });
    }
    recordSettingsChanged(tx, userId);
  });
}

const isEqual = (one: unknown, other: unknown) =>
  one instanceof Date && other instanceof Date ? one.getTime() === other.getTime() : one === other;

/** The settings of a user who has not changed any. */
export const unchangedSettings = (userId: string): NotificationSettings => ({
  userId,
  defaultLevel: null,
  doNotDisturbUntil: null,
  quietFrom: null,
  quietTo: null,
  quietTimeZone: null,
  pushPreview: null,
  emailDigest: null,
  locale: null,
});
