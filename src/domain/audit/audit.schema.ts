import { encodeGlobalId, idOf } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { viewerOf } from '../../graphql/context.js';
import type { Feature } from '../../platform/deps.js';
import { loadUser, User } from '../user/user.schema.js';
import { type AuditAction as Action, auditActions } from './audit.actions.js';
import { pageOfAuditLog } from './audit.service.js';
import { actionOf, type AuditDetail as Detail, type AuditEntry as Entry, readDetails } from './audit.store.js';

const AuditOutcome = builder.enumType('AuditOutcome', {
  description: 'The outcome of a recorded action. Treat an unknown value as an outcome that a newer server introduced.',
  values: {
    DONE: { description: 'The action was carried out.' },
    REFUSED: { description: 'The action was denied. The detail `reason` contains the reason.' },
  },
});

const AuditDetail = builder.objectRef<Detail>('AuditDetail').implement({
  description: 'A named detail of an audit log entry.',
  fields: (t) => ({
    name: t.exposeString('name', { nullable: false, description: 'The name of the detail.' }),
    value: t.exposeString('value', {
      description:
        'The value; for a change, the new value. It is null if there is none, or for the default of a setting.',
    }),
    oldValue: t.exposeString('oldValue', {
      description: 'For a change, the value before it. It is null for all other details.',
    }),
  }),
});

const idOrNull = (typename: string, id: string | null) => (id === null ? null : encodeGlobalId(typename, id));

/** Adds the query `auditLog`, with the actions of these features. */
export function addAuditLog(features: readonly Feature[]): void {
  const actions = auditActions.of({ features });
  const AuditAction = builder.enumType('AuditAction', {
    description:
      'A kind of action that the audit log records. Treat an unknown value as an action that a newer server introduced.',
    values: Object.fromEntries(Object.entries(actions).map(([name, description]) => [name, { description }])) as Record<
      Action,
      { description: string }
    >,
  });

  const AuditEntry = builder.objectRef<Entry>('AuditEntry').implement({
    description:
      'A security-relevant action, recorded when it happened. Ids are kept even if the object that they identify has been deleted. Entries never contain names, email addresses, secrets or message texts.',
    fields: (t) => ({
      id: t.id({
        nullable: false,
        description: 'The globally unique id of this entry.',
        resolve: ({ id }) => encodeGlobalId('AuditEntry', id),
      }),
      at: t.expose('at', { type: 'DateTime', description: 'When the action happened.', nullable: false }),
      action: t.field({
        type: AuditAction,
        description: 'The kind of action.',
        nullable: false,
        resolve: (entry) => actionOf(entry, actions),
      }),
      outcome: t.field({
        type: AuditOutcome,
        description: 'Whether the action was carried out or denied.',
        nullable: false,
        resolve: ({ refused }) => (refused ? ('REFUSED' as const) : ('DONE' as const)),
      }),
      actorId: t.id({
        description:
          'The id of the user who performed the action. It is null if nobody was signed in, or if a command on the server or the server itself performed it.',
        resolve: ({ actorId }) => idOrNull('User', actorId),
      }),
      actor: t.field({
        type: User,
        description: 'The current state of the user who performed the action. It is null whenever `actorId` is.',
        resolve: ({ actorId }, _args, context) => (actorId === null ? null : loadUser(context, actorId)),
      }),
      subjectId: t.id({
        description: 'The id of the user whom the action affected, or null if it affected no single user.',
        resolve: ({ subjectId }) => idOrNull('User', subjectId),
      }),
      subject: t.field({
        type: User,
        description: 'The current state of the user whom the action affected. It is null whenever `subjectId` is.',
        resolve: ({ subjectId }, _args, context) => (subjectId === null ? null : loadUser(context, subjectId)),
      }),
      conversationId: t.id({
        description: 'The id of the conversation in which the action happened, or null if it happened in none.',
        resolve: ({ conversationId }) => idOrNull('Conversation', conversationId),
      }),
      sessionId: t.id({
        description:
          'The id of the session in which the action happened. For a sign-in, it is the session that was created. It is null for actions without a session.',
        resolve: ({ sessionId }) => idOrNull('Session', sessionId),
      }),
      address: t.exposeString('address', {
        description:
          'The IP address of the client, as far as the server can determine it. It is null for actions that no client requested.',
      }),
      requestId: t.exposeString('requestId', {
        description:
          "The id under which the server's log contains the same request. It is null for actions that no client requested.",
      }),
      count: t.exposeInt('count', {
        nullable: false,
        description:
          'How many actions this entry stands for. It is greater than 1 if equal actions within one minute were too frequent to be recorded individually.',
      }),
      details: t.field({
        type: [AuditDetail],
        description: 'Further details, depending on the action.',
        nullable: { list: false, items: false },
        resolve: (entry) => readDetails(entry, actions),
      }),
    }),
  });

  const AuditEntryConnection = builder.connectionObject(
    { type: AuditEntry, name: 'AuditEntryConnection' },
    { name: 'AuditEntryEdge' },
  );

  const AuditFilter = builder.inputType('AuditFilter', {
    description: 'Conditions on audit log entries. An entry must match all conditions that are given.',
    fields: (t) => ({
      actorId: t.id({ description: 'The user who performed the action.' }),
      subjectId: t.id({ description: 'The user whom the action affected.' }),
      conversationId: t.id({ description: 'The conversation in which the action happened.' }),
      action: t.field({ type: AuditAction, description: 'The kind of action.' }),
      outcome: t.field({ type: AuditOutcome, description: 'Whether the action was carried out or denied.' }),
      address: t.string({ description: 'The IP address of the client, exactly as the entry contains it.' }),
      since: t.field({ type: 'DateTime', description: 'Only entries at or after this time.' }),
      until: t.field({ type: 'DateTime', description: 'Only entries before this time.' }),
    }),
  });

  builder.queryField('auditLog', (t) =>
    t.field({
      type: AuditEntryConnection,
      description:
        'The audit log of security-relevant actions, newest first. Only admins of the service are allowed to read it; for others the error is FORBIDDEN. Reading it is recorded as well.',
      args: {
        filter: t.arg({ type: AuditFilter, description: 'Conditions that the entries must match.' }),
        ...forwardArgs,
      },
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
}
