import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import { loadUser, User } from '../user/user.schema.js';
import { type AuditAction as Action, auditActions } from './audit.actions.js';
import { pageOfAuditLog } from './audit.service.js';
import { actionOf, type AuditDetail as Detail, type AuditEntry as Entry, readDetails } from './audit.store.js';

const AuditAction = builder.enumType('AuditAction', {
  description: 'What is put down in the audit log. Treat an unknown one as "something newer".',
  values: Object.fromEntries(
    Object.entries(auditActions).map(([name, description]) => [name, { description }]),
  ) as Record<Action, { description: string }>,
});

const AuditOutcome = builder.enumType('AuditOutcome', {
  description: 'What came of it. Treat an unknown one as "something newer".',
  values: {
    DONE: {},
    REFUSED: { description: '`reason` in `details` says why.' },
  },
});

const AuditDetail = builder.objectRef<Detail>('AuditDetail').implement({
  description: 'What else there is to say of an entry, by name.',
  fields: (t) => ({
    name: t.exposeString('name', { nullable: false }),
    value: t.exposeString('value'),
    oldValue: t.exposeString('oldValue', { description: 'Of what changed: what it was before.' }),
  }),
});

const idOrNull = (typename: string, id: string | null) => (id === null ? null : encodeGlobalId(typename, id));

const AuditEntry = builder.objectRef<Entry>('AuditEntry').implement({
  description:
    'Something that bears on security, as it was put down when it happened. Ids stay also of what is gone; names, email addresses, secrets and texts are never in it.',
  fields: (t) => ({
    id: t.id({ nullable: false, resolve: ({ id }) => encodeGlobalId('AuditEntry', id) }),
    at: t.expose('at', { type: 'DateTime', nullable: false }),
    action: t.field({ type: AuditAction, nullable: false, resolve: actionOf }),
    outcome: t.field({
      type: AuditOutcome,
      nullable: false,
      resolve: ({ refused }) => (refused ? ('REFUSED' as const) : ('DONE' as const)),
    }),
    actorId: t.id({
      description: 'Who did it; null: nobody who was signed in, a command on the machine, or a node by itself.',
      resolve: ({ actorId }) => idOrNull('User', actorId),
    }),
    actor: t.field({
      type: User,
      description: 'As they are now.',
      resolve: ({ actorId }, _args, context) => (actorId === null ? null : loadUser(context, actorId)),
    }),
    subjectId: t.id({ description: 'On whom.', resolve: ({ subjectId }) => idOrNull('User', subjectId) }),
    subject: t.field({
      type: User,
      description: 'As they are now.',
      resolve: ({ subjectId }, _args, context) => (subjectId === null ? null : loadUser(context, subjectId)),
    }),
    conversationId: t.id({
      description: 'In which conversation.',
      resolve: ({ conversationId }) => idOrNull('Conversation', conversationId),
    }),
    sessionId: t.id({
      description: 'In which session; of a sign-in the one that it began.',
      resolve: ({ sessionId }) => idOrNull('Session', sessionId),
    }),
    address: t.exposeString('address', {
      description: "The client's IP address, as far as it can be told; null of what came from no client.",
    }),
    requestId: t.exposeString('requestId', { description: "What the server's log has of the same request." }),
    count: t.exposeInt('count', {
      nullable: false,
      description: 'Above 1 of what came too often to be put down one by one: so often within a minute.',
    }),
    details: t.field({ type: [AuditDetail], nullable: { list: false, items: false }, resolve: readDetails }),
  }),
});

const AuditEntryConnection = builder.connectionObject(
  { type: AuditEntry, name: 'AuditEntryConnection' },
  { name: 'AuditEntryEdge' },
);

const AuditFilter = builder.inputType('AuditFilter', {
  description: 'All that is given must be so.',
  fields: (t) => ({
    actorId: t.id({ description: 'Who did it: a user.' }),
    subjectId: t.id({ description: 'On whom: a user.' }),
    conversationId: t.id(),
    action: t.field({ type: AuditAction }),
    outcome: t.field({ type: AuditOutcome }),
    address: t.string({ description: 'An IP address, as it stands there.' }),
    since: t.field({ type: 'DateTime', description: 'From then on.' }),
    until: t.field({ type: 'DateTime', description: 'Before then.' }),
  }),
});

builder.queryField('auditLog', (t) =>
  t.field({
    type: AuditEntryConnection,
    description:
      'Who did what that bears on security, the latest first. For admins of the service, FORBIDDEN to others; that somebody looked is in it too.',
    args: { filter: t.arg({ type: AuditFilter }), ...forwardArgs },
    resolve: (_root, { filter, ...page }, context) => {
      const viewer = viewerOf(context);
      const id = (typename: string, name: 'actorId' | 'subjectId' | 'conversationId') =>
        filter?.[name] == null ? undefined : idOf(typename, filter[name], `filter.${name}`);
      const given = {
        actorId: id('User', 'actorId'),
        subjectId: id('User', 'subjectId'),
        conversationId: id('Conversation', 'conversationId'),
        action: filter?.action ?? undefined,
        refused: filter?.outcome == null ? undefined : filter.outcome === 'REFUSED',
        address: filter?.address ?? undefined,
        since: filter?.since ?? undefined,
        until: filter?.until ?? undefined,
      };
      return pageOfAuditLog(context.deps, viewer, given, page);
    },
  }),
);
