import { errorCodes } from '../../core/errors.js';
import { builder } from '../../graphql/builder.js';
import type { Config } from '../../infra/config/config.js';
import { version } from '../../infra/config/version.js';
import { QUERY_MAX_CHARS } from '../search/search.query.js';

const ErrorCode = builder.enumType('ErrorCode', {
  description: 'What `extensions.code` of an error can be. Treat an unknown one as "something newer".',
  values: {
    UNAUTHENTICATED: {
      description:
        'Nobody is signed in, or the token is expired or revoked (never treated as anonymous): refresh or sign in. A wrong password is BAD_USER_INPUT without a field.',
    },
    FORBIDDEN: {
      description:
        'Not theirs to do; `extensions.reason` says why where something else helps with each (`NOT_A_MEMBER`, `RECIPIENT_UNREACHABLE`).',
    },
    NOT_FOUND: { description: 'It does not exist, or not for the viewer: the two cannot be told apart.' },
    BAD_USER_INPUT: {
      description:
        '`extensions.field` is the path from the argument: `input.username`, `first`. Where more than one is wrong, `extensions.fields` lists each with its message.',
    },
    CONFLICT: { description: 'Taken (with its field), or contradicting what is stored.' },
    RATE_LIMITED: { description: '`extensions.retryAfterMs` says when to try again.' },
    CURSOR_EXPIRED: {
      description: "This cursor can't be resumed from: fetch again, and subscribe anew.",
    },
    PAYLOAD_TOO_LARGE: {},
    UNAVAILABLE: { description: 'A part that this needs is down for the moment: the same call may be repeated.' },
    INTERNAL_SERVER_ERROR: { description: 'A fault of the server; `extensions.errorId` finds it in the log.' },
  } satisfies Record<(typeof errorCodes)[number], object>,
});

const Limits = builder.objectRef<Config>('Limits').implement({
  fields: (t) => ({
    messageMaxChars: t.exposeInt('messageMaxChars', {
      nullable: false,
      description: 'Longest text of a message, in UTF-16 units, after trimming.',
    }),
    mentionsMax: t.exposeInt('mentionsMax', {
      nullable: false,
      description: 'Most people whom one message may name.',
    }),
    messageEditWindowSeconds: t.int({
      description: 'For how long after `createdAt` a message can be edited; null: as long as it is there.',
      resolve: ({ messageEditWindowMs }) => messageEditWindowMs && Math.ceil(messageEditWindowMs / 1_000),
    }),
    reactionEmojisMax: t.exposeInt('reactionEmojisMax', {
      nullable: false,
      description: 'Most different emojis that people react to one message with.',
    }),
    reactionsPerPersonMax: t.exposeInt('reactionsPerPersonMax', {
      nullable: false,
      description: 'Most of these that one person gives one message.',
    }),
    pinsMax: t.exposeInt('pinsMax', {
      nullable: false,
      description: 'Most messages that are pinned in one conversation.',
    }),
    groupMaxMembers: t.exposeInt('groupMaxMembers', { nullable: false, description: 'Most members of a group.' }),
    groupAddMax: t.exposeInt('groupAddMax', {
      nullable: false,
      description: 'Most people that one call brings into a group.',
    }),
    groupsMax: t.exposeInt('groupsMax', {
      nullable: false,
      description: 'Most groups that one person may be in that they made or joined themselves.',
    }),
    groupsAddedMax: t.exposeInt('groupsAddedMax', {
      nullable: false,
      description: 'Most groups that others may have brought one person into.',
    }),
    contactsMax: t.exposeInt('contactsMax', {
      nullable: false,
      description: 'Most people that one person may have as contacts.',
    }),
    blocksMax: t.exposeInt('blocksMax', {
      nullable: false,
      description: 'Most people that one person may have blocked.',
    }),
    receiptMaxMembers: t.exposeInt('receiptMaxMembers', {
      nullable: false,
      description: 'Groups above this size have no per-member receipts, and statuses stay SENT there.',
    }),
    summaryMessagesMax: t.exposeInt('summaryMessagesMax', {
      nullable: false,
      description: 'Most messages that one summary is of.',
    }),
    searchQueryMaxChars: t.int({
      nullable: false,
      description: 'Longest query of `searchMessages`, in UTF-16 units.',
      resolve: () => QUERY_MAX_CHARS,
    }),
    pageMax: t.exposeInt('pageMax', { nullable: false, description: 'Largest `first` and `last`.' }),
    operationDepthMax: t.exposeInt('operationDepthMax', {
      nullable: false,
      description: 'How deep the fields of an operation may lie in each other.',
    }),
    operationCostMax: t.exposeInt('operationCostMax', {
      nullable: false,
      description:
        'Cost of one operation: about how many fields its answer can have, lists as long as they are asked for.',
    }),
    socketStreamsMax: t.exposeInt('socketStreamsMax', {
      nullable: false,
      description: 'Most subscriptions at once on one WebSocket.',
    }),
  }),
});

const ServerInfo = builder.objectRef<Config>('ServerInfo').implement({
  description: 'What this server is and can: ask before using what an older one may lack.',
  fields: (t) => ({
    version: t.string({ nullable: false, resolve: () => version }),
    features: t.stringList({
      nullable: { list: false, items: false },
      description:
        'What is switched on here, by name: `registration` (people make accounts with `register`), `outsideUsers` (access tokens of an identity provider sign people in), `search` (messages are found by `searchMessages`), `writtenSummaries` (a model server writes summaries: what is summarized goes there), `persistedDocuments` (operations may be asked for by the hash of their document), `persistedDocumentsOnly` (all others are FORBIDDEN).',
      resolve: (config) => [
        ...(config.registration ? ['registration'] : []),
        ...(config.identityProvider ? ['outsideUsers'] : []),
        'search',
        ...(config.summaryServer ? ['writtenSummaries'] : []),
        ...(config.persistedDocuments === undefined ? [] : ['persistedDocuments']),
        ...(config.persistedDocumentsOnly ? ['persistedDocumentsOnly'] : []),
      ],
    }),
    limits: t.field({ type: Limits, nullable: false, resolve: (config) => config }),
    errorCodes: t.field({
      type: [ErrorCode],
      nullable: { list: false, items: false },
      description: 'What `extensions.code` of an error can be.',
      resolve: () => errorCodes,
    }),
  }),
});

builder.queryField('serverInfo', (t) =>
  t.field({
    type: ServerInfo,
    nullable: false,
    description: 'What this server is and can: ask before using what an older one may lack.',
    resolve: (_root, _args, { deps }) => deps.config,
  }),
);
