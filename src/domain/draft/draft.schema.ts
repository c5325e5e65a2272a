import { gone } from '../../core/errors.js';
import { encodeGlobalId } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { shared } from '../../graphql/sharing.js';
import { Conversation, loadConversation, loadViewerMembership } from '../conversation/conversation.schema.js';
import { Message } from '../message/message.schema.js';
import { visibleMessageLookup } from '../reply/reply.store.js';
import { Viewer } from '../user/user.schema.js';
import { dataOf, ViewerChangeEvent } from '../viewer-changes/viewer-changes.schema.js';
import { DRAFT_DELETED, DRAFT_SAVED, type DraftChanged } from './draft.events.js';
import { draftsOf, saveDraft } from './draft.service.js';

const Draft = builder.prismaNode('Draft', {
  id: { field: 'membershipId' },
  nullable: true,
  findUnique: (membershipId, context) => ({ membershipId, userId: viewerOf(context).userId }),
  description:
    'A message that the viewer has not sent yet. There is at most one in each conversation, for all devices.',
  extensions: shared('id', 'conversation', 'text', 'updatedAt'),
  fields: (t) => ({
    conversation: t.field({
      type: Conversation,
      nullable: false,
      description: 'The conversation in which the draft was saved.',
      resolve: ({ conversationId }, _args, context) =>
        loadConversation(context, conversationId).then((conversation) => conversation ?? gone('Conversation')),
    }),
    text: t.exposeString('text', {
      nullable: false,
      description:
        'The text as it was saved. It can be empty if the draft is a reply, and it is empty in DRAFT_DELETED.',
    }),
    replyTo: t.field({
      type: Message,
      description:
        'The message that the draft replies to. It is null if the draft is not a reply, or if the viewer cannot see the message.',
      resolve: ({ conversationId, replyToSeq: seq }, _args, context) =>
        seq === null
          ? null
          : visibleMessageLookup.of(context.deps)({ conversationId, seq, userId: viewerOf(context).userId }),
    }),
    updatedAt: t.expose('updatedAt', {
      type: 'DateTime',
      nullable: false,
      description: 'When the draft was last changed.',
    }),
  }),
});

builder.prismaObjectField(Viewer, 'drafts', (t) =>
  t.field({
    type: [Draft],
    nullable: { list: false, items: false },
    description:
      "The viewer's drafts, most recently changed first, at most `serverInfo.limits.draftsMax`. Events of the `viewerChanges` stream keep them current.",
    extensions: atMost('draftsMax'),
    resolve: (_viewer, _args, context) => draftsOf(context.deps, viewerOf(context)),
  }),
);

builder.objectFields(ViewerChangeEvent, (t) => ({
  draft: t.field({
    type: Draft,
    description:
      'The draft after the change, for DRAFT_SAVED and DRAFT_DELETED. A deleted draft is empty. It is null if the viewer is no longer a member of the conversation, and for all other types.',
    async resolve(event, _args, context) {
      const draft = dataOf<DraftChanged>(event, DRAFT_SAVED, DRAFT_DELETED)?.data.draft;
      // An event can wait for a slow client, and the viewer can have left the conversation meanwhile.
      return draft && (await loadViewerMembership(context, draft.conversationId)) ? draft : null;
    },
  }),
  draftId: t.id({
    description:
      "The id of the draft, for DRAFT_SAVED and DRAFT_DELETED. After DRAFT_DELETED, remove the draft with this id from the client's data. It is null for all other types.",
    resolve: (event) => {
      const id = dataOf(event, DRAFT_SAVED, DRAFT_DELETED)?.subjectId;
      return id == null ? null : encodeGlobalId('Draft', id);
    },
  }),
}));

addViewerMutation('saveDraft', {
  description:
    'Saves a draft of what the viewer is writing in a conversation, for all of their devices. It replaces an earlier draft: the last write wins. Nobody else can see it. A text without a visible character deletes the draft, unless the draft is a reply. Sending a message does not delete the draft: save an empty text afterwards. A user can have at most `serverInfo.limits.draftsMax` drafts.',
  input: (t) => ({
    conversationId: t.id({ required: true, description: 'The conversation, of which the viewer must be a member.' }),
    text: t.string({
      required: true,
      description:
        'The text, which is stored unchanged: at most `serverInfo.limits.draftMaxChars` characters. Without a visible character, and without `replyToId`, it deletes the draft.',
    }),
    replyToId: t.id({
      description:
        'The message that the draft replies to. It must be a message of kind USER in the same conversation that the viewer can see. If it is null or omitted, the draft is not a reply.',
    }),
  }),
  ids: { conversationId: 'Conversation', replyToId: 'Message' },
  payload: payloadOf((t) => ({
    draft: t.field({ type: Draft, description: 'The draft as it is stored, or null if it was deleted.' }),
  })),
  hasOwnRate: true,
  run: async (deps, viewer, { conversationId, text, replyToId }) => ({
    draft: await saveDraft(deps, viewer, {
      conversationId,
      text,
      replyToId: replyToId ?? null,
    }),
  }),
});
