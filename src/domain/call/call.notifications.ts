import { encodeGlobalId } from '../../core/ids.js';
import { type CallKind, Prisma } from '../../generated/prisma/client.js';
import type { Config } from '../../infra/config/config.js';
import type { NotificationOutput, NotificationSource } from '../notifier/notifier.sources.js';
import { enqueueSubject } from '../push/push.service.js';
import type { PushNotice, PushSubject } from '../push/push.subjects.js';
import { CALL_CHANGED } from './call.events.js';

const RINGING = 'RINGING_CALL';
const MISSED = 'MISSED_CALL';

/**
 * Whether `calls call` in `conversations` ended in a way that members may have missed: without an answer, or in a group
 * after others had answered.
 */
const isUnanswered = Prisma.sql`(call.state = 'ENDED' AND (
  call.end_reason IN ('MISSED', 'CANCELLED', 'BUSY')
  OR (conversations.kind = 'GROUP' AND call.answered_at IS NOT NULL)))`;

/** The members whom a call concerns, as `memberships member`: all who have neither joined nor declined it. */
const isConcerned = Prisma.sql`(
  member.user_id <> call.started_by_id
  AND NOT EXISTS (SELECT FROM call_parties WHERE call_id = call.id AND user_id = member.user_id)
  AND NOT EXISTS (SELECT FROM call_declines WHERE call_id = call.id AND user_id = member.user_id))`;

/** In larger groups, a missed call is only reported by its system message. */
const isSmall = ({ notificationEveryoneMaxMembers }: Pick<Config, 'notificationEveryoneMaxMembers'>) =>
  Prisma.sql`(conversations.kind = 'DIRECT' OR conversations.member_count <= ${notificationEveryoneMaxMembers}::int)`;

/** Notifies the members who have missed a call. The calls of one conversation are one notification. */
export const missedCallSource: NotificationSource = {
  kind: 'MISSED_CALL',
  types: () => [CALL_CHANGED],
  occurrences: ({ config }) => Prisma.sql`
    SELECT member.user_id, call.started_by_id AS actor_id, call.id AS subject_id, call.conversation_id AS collapse_id,
           call.conversation_id, NULL::int AS seq, call.ended_at AS at
    FROM change
    JOIN calls call ON call.id = change.subject_id AND call.state = 'ENDED'
    JOIN conversations ON conversations.id = call.conversation_id
    JOIN memberships member ON member.conversation_id = call.conversation_id
    WHERE ${isUnanswered} AND ${isSmall(config)} AND ${isConcerned}`,
  compared: () => Prisma.sql`occurrence.subject_id = change.subject_id`,
  isReadWithMessage: false,
};

/** Pushes calls when they begin to ring, and again when they were missed. */
export const callPushes: NotificationOutput = {
  types: [CALL_CHANGED],
  async write({ config }, sql, { changes }) {
    const ids = changes.flatMap(({ type, subjectId }) => (type === CALL_CHANGED && subjectId ? subjectId : []));
    if (ids.length === 0) return;
    const concerned = (condition: Prisma.Sql) => Prisma.sql`
      SELECT member.user_id, call.conversation_id, call.id AS subject_id
      FROM calls call
      JOIN conversations ON conversations.id = call.conversation_id
      JOIN memberships member ON member.conversation_id = call.conversation_id
      WHERE call.id = ANY (${[...new Set(ids)]}::uuid[]) AND ${isConcerned} AND ${condition}`;
    await enqueueSubject(sql, RINGING, concerned(Prisma.sql`call.state = 'RINGING' AND call.version = 1`));
    await enqueueSubject(sql, MISSED, concerned(Prisma.sql`${isUnanswered} AND ${isSmall(config)}`));
  },
};

const incoming: Record<CallKind, PushNotice['texts']> = {
  VOICE: { en: 'Incoming call', de: 'Eingehender Anruf', ar: 'مكالمة واردة' },
  VIDEO: { en: 'Incoming video call', de: 'Eingehender Videoanruf', ar: 'مكالمة فيديو واردة' },
};
const missed: PushNotice['texts'] = { en: 'Missed call', de: 'Verpasster Anruf', ar: 'مكالمة فائتة' };

interface Found {
  n: number;
  kind: CallKind;
  senderName: string;
  ringsMs: number;
}

/** A kind of push about calls that meet a condition (SQL about `calls call`). */
const defineCallPush = (
  type: string,
  condition: Prisma.Sql,
  say: (call: Found) => Pick<PushNotice, 'texts' | 'ttlMs'>,
): PushSubject => ({
  type,
  async find(sql, wanted) {
    const rows = await sql.query<Found>(Prisma.sql`
      SELECT wanted.n::int AS n, call.kind::text AS kind, starter.display_name AS "senderName",
             (extract(epoch FROM call.ring_until - clock_timestamp()) * 1000)::float8 AS "ringsMs"
      FROM unnest(${wanted.map(({ id }) => id)}::uuid[], ${wanted.map(({ userId }) => userId)}::uuid[])
           WITH ORDINALITY AS wanted (id, user_id, n)
      JOIN calls call ON call.id = wanted.id
      JOIN conversations ON conversations.id = call.conversation_id
      JOIN memberships member ON member.conversation_id = call.conversation_id AND member.user_id = wanted.user_id
      JOIN users starter ON starter.id = call.started_by_id
      WHERE ${isConcerned} AND ${condition}
        AND NOT EXISTS (SELECT FROM blocks WHERE blocker_id = wanted.user_id AND blocked_id = call.started_by_id)`);
    const notices: (PushNotice | undefined)[] = wanted.map(() => undefined);
    for (const row of rows) {
      const id = wanted[row.n - 1]?.id ?? '';
      const what = { idField: 'callId', id: encodeGlobalId('Call', id), key: `call:${id}` };
      notices[row.n - 1] = { ...what, senderName: row.senderName, ...say(row) };
    }
    return notices;
  },
});

/** The push about a call that rings, for as long as it rings. */
export const ringingPush = defineCallPush(
  RINGING,
  Prisma.sql`call.ring_until > clock_timestamp()
    AND (call.state = 'RINGING' OR (call.state = 'ACTIVE' AND conversations.kind = 'GROUP'))`,
  ({ kind, ringsMs }) => ({ texts: incoming[kind], ttlMs: Math.max(ringsMs, 1_000) }),
);

/** The push about a missed call, which replaces the one about the call that rings. */
export const missedPush = defineCallPush(MISSED, isUnanswered, () => ({ texts: missed, ttlMs: undefined }));
