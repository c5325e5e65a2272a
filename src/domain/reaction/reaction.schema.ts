import type { PageArgs } from '../../core/page.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, type InputFields } from '../../graphql/mutation.js';
import { keyedBy, shared, sharedField } from '../../graphql/sharing.js';
import {
  keyedBySending,
  loadCanSend,
  Message,
  messagePayload,
  type Preloaded,
  whenKnown,
} from '../message/message.schema.js';
import { loadUser, UserConnection } from '../user/user.schema.js';
import { canReact, isEncryptedEmoji } from './reaction.policy.js';
import { addReaction, listReactors, removeReaction } from './reaction.service.js';
import {
  findReactionGroups,
  findReactors,
  ownReactionsLookup,
  type ReactionGroup,
  type ReactorsPage,
} from './reaction.store.js';

type GroupOfMessage = ReactionGroup & { messageId: string };

const ReactionGroupObject = builder.objectRef<GroupOfMessage>('ReactionGroup').implement({
  description: 'All reactions to a message with the same emoji.',
  extensions: shared('emoji', 'count', 'isEncrypted'),
  fields: (t) => ({
    emoji: t.exposeString('emoji', {
      nullable: false,
      description:
        'The emoji in its fully qualified Unicode spelling. If `isEncrypted` is true, what the devices of the members have encrypted.',
    }),
    isEncrypted: t.boolean({
      nullable: false,
      description:
        'Whether the emoji is encrypted: 63 bytes in base64url, which only devices that can read the message can decrypt. It is false for reactions from before the encryption.',
      resolve: ({ emoji }) => isEncryptedEmoji(emoji),
    }),
    count: t.exposeInt('count', { nullable: false, description: 'The number of users who reacted with this emoji.' }),
    users: t.field({
      type: UserConnection,
      description: 'The users who reacted with this emoji, earliest reaction first.',
      args: forwardArgs,
      resolve: pageOfReactors,
    }),
  }),
});

/** Loads the users of all reaction groups of a page in one statement. */
const loadReactors = defineLoader(async (context, keys) =>
  findReactors(
    context.deps.database.db,
    keys.map((key) => JSON.parse(key) as ReactorsPage),
  ),
);

async function pageOfReactors(group: GroupOfMessage, args: PageArgs, context: Context) {
  const read = (page: ReactorsPage) => loadReactors(context, JSON.stringify(page)).then((reactors) => reactors ?? []);
  const { edges, pageInfo } = await listReactors(context.deps, group, args, read);
  const loaded = edges.map(async ({ cursor, node }) => ({ cursor, node: await loadUser(context, node.userId) }));
  const present = (await Promise.all(loaded)).flatMap(({ cursor, node }) => (node ? [{ cursor, node }] : []));
  return { pageInfo, edges: present };
}

/** Loads the reaction groups of all messages of a page in one statement. */
const loadGroups = defineLoader((context, ids) => findReactionGroups(context.deps.database.db, ids));

builder.prismaObjectFields(Message, (t) => ({
  reactions: t.field({
    type: [ReactionGroupObject],
    nullable: { list: false, items: false },
    description:
      'The reactions, grouped by emoji, in the order in which each emoji was first used. At most `serverInfo.limits.reactionEmojisMax` groups.',
    extensions: { ...sharedField, ...atMost('reactionEmojisMax') },
    resolve: ({ id: messageId, parts }: Preloaded, _args, context) => {
      const named = (groups: readonly ReactionGroup[]) => groups.map((group) => ({ ...group, messageId }));
      return parts?.reactions
        ? named(parts.reactions.groups)
        : loadGroups(context, messageId).then((groups) => named(groups ?? []));
    },
  }),
  viewerCanReact: t.boolean({
    nullable: false,
    description:
      'Whether the viewer can add a reaction to the message: it is neither deleted nor a system message, and `viewerCanSend` of the conversation is true. Limits on the number of reactions are not considered.',
    extensions: keyedBySending,
    resolve: (message: Preloaded, _args, context) =>
      whenKnown(loadCanSend(context, message), (sends) => canReact(message, sends)),
  }),
  viewerReactions: t.stringList({
    nullable: { list: false, items: false },
    description:
      'The emojis with which the viewer reacted, in the order in which they were added, as in `emoji` of the reaction groups.',
    extensions: keyedBy<Preloaded | null>((message, viewerId) => {
      if (!message) return '';
      const byPerson = message.parts?.reactions?.byPerson;
      // If the users who reacted are not loaded, the value has to be computed for each viewer.
      return byPerson ? (byPerson[viewerId] ?? []).join(',') : viewerId;
    }),
    resolve: ({ id: messageId, parts }: Preloaded, _args, context) => {
      const { userId } = viewerOf(context);
      const byPerson = parts?.reactions?.byPerson;
      return byPerson ? (byPerson[userId] ?? []) : ownReactionsLookup.of(context.deps)({ messageId, userId });
    },
  }),
}));

const reactionInput = (t: InputFields) => ({
  messageId: t.id({ required: true, description: 'The message.' }),
  emoji: t.string({
    required: true,
    description:
      'A single Unicode emoji, which can be a flag, have a skin tone or be a joined sequence. Spellings with and without variation selectors count as the same emoji. If the content of the message is encrypted, the emoji must be, too (63 bytes in base64url; `CONFLICT` with the reason `ENCRYPTED` otherwise). Only to remove a reaction, either form is accepted.',
  }),
});

addViewerMutation('addReaction', {
  description: 'Adds a reaction of the viewer to a message. Repeating the same reaction has no effect.',
  input: reactionInput,
  ids: { messageId: 'Message' },
  payload: messagePayload,
  run: async (deps, viewer, input) => ({ message: await addReaction(deps, viewer, input) }),
});

addViewerMutation('removeReaction', {
  description: "Removes one of the viewer's reactions from a message. It has no effect if the reaction does not exist.",
  input: reactionInput,
  ids: { messageId: 'Message' },
  payload: messagePayload,
  run: async (deps, viewer, input) => ({ message: await removeReaction(deps, viewer, input) }),
});
