import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { decodeGlobalId } from '../../src/core/ids.js';
import { giveServiceRole } from '../../src/domain/moderation/moderation.service.js';
import type { RunningNode } from '../../src/server/start.js';
import { accept, decline, leave, setMedia, signal, start } from '../support/calls.js';
import {
  ask,
  connect,
  connectInTest,
  eventually,
  type Json,
  listen,
  type Person,
  registerAll,
} from '../support/client.js';
import {
  bytes,
  claim,
  commit,
  enable,
  publish,
  registerDevice,
  sendSealed,
  startGroup,
} from '../support/encryption.js';
import { isExhaustive, someOf } from '../support/exhaustive.js';
import { mailInFolder, outboxOf, tokenOf } from '../support/mail.js';
import { attachmentOf, createUpload, makePicture, sendWith, upload } from '../support/media.js';
import { untilNotified } from '../support/notifier.js';
import { makePlace, modes, type Place, servicesFound, startTwo } from '../support/place.js';
import { webDevice } from '../support/push-service.js';
import { befriend, postStatus, setStatusAudience, statusesOfAuthor } from '../support/status-posts.js';
import { createGroup, edit, openDirect, pin, react, remove, reply, send, unpin, unreact } from '../support/talk.js';

// Like Zulip's `verify_action`: the state that a user fetched before an action, with the events since then applied,
// must equal the state that they fetch after it. For every mutation, and for each kind of user who may see it, while
// another user writes in between.

const SHOWN = 'title description visibility historyVisibility memberCount viewerCanSend encryption';
const MEMBER = 'role deliveredSeq readSeq user { id username displayName bio avatarUrl deletedAt }';
const MESSAGE = `id seq kind sender { id } text editedAt deletedAt mentionsEveryone mentions { id }
  systemEvent { type oldValue newValue actor { id } subjects { id } call { id } }
  replyTo { id text deletedAt replyCount } replyCount pinnedAt viewerReactions reactions { emoji count }
  attachments { id state contentType byteSize } encrypted { generation epoch content device { id } }`;
const CALL = 'id kind state endReason startedBy { id }';
const CONVERSATION = `id ${SHOWN} pinnedMessages { id } members(first: 100) { nodes { ${MEMBER} } } messages(last: 100) { nodes { ${MESSAGE} } } calls(first: 50) { nodes { ${CALL} } }`;
const DRAFT = 'id text conversation { id } replyTo { id }';
const NOTIFICATION = 'id kind count readAt actors { id } conversation { id } message { id }';
const SETTINGS = `availability email serviceRole user { displayName bio avatarUrl }
  notificationSettings { defaultLevel doNotDisturbUntil quietHours { from to timeZone } pushPreview emailDigest }`;
const OWN_MEMBERSHIP = 'notificationLevel mutedUntil conversation { id }';
const STATE = `{ viewer {
  syncCursor unreadCount unreadNotificationCount notifications(first: 100) { nodes { ${NOTIFICATION} } } ${SETTINGS} drafts { ${DRAFT} } contacts { nodes { id } } blockedUsers { nodes { id } }
  conversations(first: 100) { nodes { ${CONVERSATION} viewerMembership { unreadCount ${OWN_MEMBERSHIP} } } }
} }`;
const ONE = `query ($id: ID!) { conversation(id: $id) { ${CONVERSATION} } }`;
const MESSAGES = `subscription ($after: String) {
  messages(after: $after) { type changeSeq message { ${MESSAGE} conversation { id } } }
}`;
const CONVERSATIONS = `subscription ($after: String) {
  conversations(after: $after) {
    type conversationId userId conversation { id ${SHOWN} } membership { ${MEMBER} }
  }
}`;

const RECEIPTS = `subscription ($after: String) {
  receipts(after: $after) { type conversationId membership { deliveredSeq readSeq user { id } } }
}`;

const CONTACTS = `subscription ($after: String) {
  contacts(after: $after) { type user { id viewerIsContact viewerHasBlocked } }
}`;
const VIEWER_CHANGES = `subscription ($after: String) {
  viewerChanges(after: $after) {
    type draftId draft { ${DRAFT} } viewer { ${SETTINGS} } membership { ${OWN_MEMBERSHIP} }
  }
}`;
const NOTIFICATIONS = `subscription ($after: String) {
  notifications(after: $after) { type notificationId unreadCount notification { ${NOTIFICATION} } }
}`;
const CALLS = `subscription { calls { type call { ${CALL} conversation { id } } } }`;
const OWN_PRESENCE = 'subscription ($id: ID!) { presence(userIds: [$id]) { user { presence { status } } } }';

interface Member {
  role: string;
  deliveredSeq: number;
  readSeq: number;
  user: Json;
}

interface Known {
  shown: Json;
  members: Record<string, Member>;
  messages: Record<string, Json>;
  /** Ids of pinned messages, the latest first. */
  pinned: string[];
  calls: Record<string, Json>;
}
/** The state of a client. */
interface State {
  conversations: Record<string, Known>;
  contacts: string[];
  blocked: string[];
  availability: string;
  settings: Json;
  drafts: Record<string, Json>;
  /** The viewer's own memberships by conversation, where they have settings. */
  memberships: Record<string, Json>;
  inbox: Record<string, Json>;
  unreadNotifications: number;
}

/** The number of unread messages, counted according to the definition. */
const unreadOf = ({ messages, members }: Known, userId: string): number =>
  Object.values(messages).filter(
    ({ seq, kind, deletedAt, sender }) =>
      seq > (members[userId]?.readSeq ?? 0) && kind === 'USER' && !deletedAt && sender?.id !== userId,
  ).length;
const unreadCounts = ({ conversations }: Pick<State, 'conversations'>, userId: string) =>
  Object.fromEntries(Object.entries(conversations).map(([id, known]) => [id, unreadOf(known, userId)]));

/** Events of two streams have no order, but marks only move forward. */
const furthest = (known: Pick<Member, 'deliveredSeq' | 'readSeq'> | undefined, said: Json) => ({
  deliveredSeq: Math.max(known?.deliveredSeq ?? 0, said.deliveredSeq),
  readSeq: Math.max(known?.readSeq ?? 0, said.readSeq),
});

const knownOf = ({
  id: _id,
  members,
  messages,
  calls,
  pinnedMessages,
  viewerMembership: _own,
  ...shown
}: Json): Known => ({
  shown,
  members: Object.fromEntries(members.nodes.map((member: Json) => [member.user.id, member])),
  messages: Object.fromEntries(messages.nodes.map((message: Json) => [message.id, message])),
  pinned: pinnedMessages.map(({ id }: Json) => id),
  calls: Object.fromEntries(calls.nodes.map((call: Json) => [call.id, call])),
});

/** Inserts or replaces a message like a normalized cache, in which `replyTo` refers to the same object as the message. */
function upsert(known: Known, { conversation: _conversation, ...message }: Json): void {
  known.messages[message.id] = message;
  const answered = message.replyTo && known.messages[message.replyTo.id];
  if (answered) Object.assign(answered, message.replyTo);
  for (const other of Object.values(known.messages)) {
    const newest = other.replyTo && known.messages[other.replyTo.id];
    if (newest) {
      const { id, text, deletedAt, replyCount } = newest;
      other.replyTo = { id, text, deletedAt, replyCount };
    }
  }
  const pinned = Object.values(known.messages).filter(({ pinnedAt }) => pinnedAt !== null);
  known.pinned = pinned.sort((a, b) => (a.pinnedAt < b.pinnedAt ? 1 : -1)).map(({ id }) => id);
}

const settingsOf = ({ availability, email, serviceRole, notificationSettings, user }: Json): Json => ({
  availability,
  email,
  serviceRole,
  notificationSettings,
  ...user,
});

/** Adds or removes a membership, depending on whether it has settings. */
function putMembership(memberships: Record<string, Json>, { notificationLevel, mutedUntil, conversation }: Json): void {
  if (notificationLevel ?? mutedUntil) memberships[conversation.id] = { notificationLevel, mutedUntil };
  else delete memberships[conversation.id];
}

function membershipsOf(own: readonly Json[]): Record<string, Json> {
  const memberships: Record<string, Json> = {};
  for (const each of own) putMembership(memberships, each);
  return memberships;
}

const idsOf = ({ nodes }: Json): string[] => nodes.map(({ id }: Json) => id).sort();

async function fetchState(person: Person): Promise<{ syncCursor: string; state: State; unread: Json }> {
  const { viewer } = await person.ask(STATE);
  const { nodes } = viewer.conversations;
  return {
    syncCursor: viewer.syncCursor,
    state: {
      conversations: Object.fromEntries(nodes.map((node: Json) => [node.id, knownOf(node)])),
      contacts: idsOf(viewer.contacts),
      blocked: idsOf(viewer.blockedUsers),
      availability: viewer.availability,
      settings: settingsOf(viewer),
      drafts: Object.fromEntries(viewer.drafts.map((draft: Json) => [draft.id, draft])),
      memberships: membershipsOf(nodes.map((node: Json) => node.viewerMembership)),
      inbox: Object.fromEntries(viewer.notifications.nodes.map((each: Json) => [each.id, each])),
      unreadNotifications: viewer.unreadNotificationCount,
    },
    unread: {
      total: viewer.unreadCount,
      each: Object.fromEntries(nodes.map((node: Json) => [node.id, node.viewerMembership.unreadCount])),
    },
  };
}

/** A client that fetches once and then only applies events. It also fetches conversations that it joins. */
class Replica {
  readonly person: Person;
  state: State = {
    conversations: {},
    contacts: [],
    blocked: [],
    availability: '',
    settings: {},
    drafts: {},
    memberships: {},
    inbox: {},
    unreadNotifications: 0,
  };
  #client: { dispose(): unknown } | undefined;
  #work: Promise<unknown> = Promise.resolve();

  constructor(person: Person) {
    this.person = person;
  }

  async start(url: string): Promise<void> {
    const { syncCursor, state } = await fetchState(this.person);
    this.state = state;
    const client = connect(url, this.person.token);
    this.#client = client;
    const follow = (
      field: string,
      query: string,
      apply: (event: Json) => Promise<void> | void,
      variables: Json = { after: syncCursor },
    ) => {
      client.subscribe(
        { query, variables },
        {
          // Applied one after another, because applying an event can fetch a conversation.
          next: ({ data }) => {
            this.#work = this.#work.then(() => apply((data as Json)[field]));
          },
          error: () => {},
          complete: () => {},
        },
      );
    };
    follow('messages', MESSAGES, ({ message }) => {
      const known = message && this.state.conversations[message.conversation.id];
      if (known) upsert(known, message);
    });
    follow('receipts', RECEIPTS, ({ conversationId, membership }) => {
      const member = membership && this.state.conversations[conversationId]?.members[membership.user.id];
      if (member) Object.assign(member, furthest(member, membership));
    });
    follow('conversations', CONVERSATIONS, (event) => this.#applyMembership(event));
    follow('contacts', CONTACTS, (event) => this.#applyContact(event));
    follow('viewerChanges', VIEWER_CHANGES, ({ type, draftId, draft, viewer, membership }) => {
      if (membership) putMembership(this.state.memberships, membership);
      if (viewer) this.state.settings = settingsOf(viewer);
      if (draft) this.state.drafts[draftId] = draft;
      if (type === 'DRAFT_DELETED') delete this.state.drafts[draftId];
    });
    follow('notifications', NOTIFICATIONS, ({ type, notificationId, notification, unreadCount }) => {
      this.state.unreadNotifications = unreadCount;
      if (notification) this.state.inbox[notificationId] = notification;
      if (type === 'REMOVED') delete this.state.inbox[notificationId];
    });
    // These streams cannot be resumed.
    follow(
      'calls',
      CALLS,
      ({ call }) => {
        const known = call && this.state.conversations[call.conversation.id];
        const { conversation: _conversation, ...own } = call ?? {};
        if (known) known.calls[own.id] = own;
      },
      {},
    );
    const { id } = this.person;
    const showPresence = ({ user: { presence } }: Json) => {
      // A connected user who appears as offline is invisible.
      if (presence) this.state.availability = presence.status === 'OFFLINE' ? 'INVISIBLE' : presence.status;
    };
    follow('presence', OWN_PRESENCE, showPresence, { id });
  }

  #applyContact({ user }: Json): void {
    if (!user) return;
    const put = (list: string[], isOn: boolean) =>
      [...list.filter((id) => id !== user.id), ...(isOn ? [user.id] : [])].sort();
    this.state.contacts = put(this.state.contacts, user.viewerIsContact);
    this.state.blocked = put(this.state.blocked, user.viewerHasBlocked);
  }

  async #applyMembership({ type, conversationId, userId, conversation, membership }: Json): Promise<void> {
    const { conversations } = this.state;
    if (type === 'LEFT') {
      delete conversations[conversationId];
      delete this.state.memberships[conversationId];
    }
    if (type === 'JOINED') {
      const { data, errors } = await this.person.request(ONE, { id: conversationId });
      // A suspension can end the session between the event and this query; the streams end with it. If the user has left
      // meanwhile, LEFT follows.
      const isOver = ({ extensions: { code, reason } }: Json) =>
        code === 'UNAUTHENTICATED' || reason === 'NOT_A_MEMBER';
      if (errors?.some(isOver)) return;
      if (errors) throw new Error(JSON.stringify(errors));
      const fetched = data.conversation;
      if (fetched) conversations[conversationId] = knownOf(fetched);
      else delete conversations[conversationId];
    }
    const known = conversations[conversationId];
    if (!known || !conversation) return;
    const { id: _id, ...shown } = conversation;
    known.shown = shown;
    if (membership) {
      const { user, role, ...marks } = membership;
      known.members[user.id] = { role, user, ...furthest(known.members[user.id], marks) };
    }
    if (type === 'MEMBER_LEFT') delete known.members[userId];
  }

  async stop(): Promise<void> {
    await this.#client?.dispose();
  }
}

const SERVICE_KEY = 'the-service-key-of-these-tests-as-long-as-it-must-be';

/** The state in which an action begins: a group of three, a direct conversation, a message, and an outsider. */
interface Scene {
  node: RunningNode;
  /** The URL for requests with the service key. */
  url: string;
  owner: Person;
  member: Person;
  other: Person;
  outsider: Person;
  group: string;
  direct: string;
  messageId: string;
  /** The folder of mails. */
  outbox: string;
}

type Action = (scene: Scene) => Promise<unknown>;
const documentOf = (name: string, selection = '__typename') => {
  const type = `${name.charAt(0).toUpperCase()}${name.slice(1)}Input`;
  return `mutation ($input: ${type}!) { ${name}(input: $input) { ${selection} } }`;
};
const mutation = (person: Person, name: string, input: Json) => person.ask(documentOf(name), { input });

const byService = ({ url }: Scene, name: string, input: Json, selection?: string) =>
  ask(url, documentOf(name, selection), { input }, SERVICE_KEY);
/** The input of an account of the backend, with names derived from another user. */
const createUser = (scene: Scene, { username, id }: Person, selection?: string) =>
  byService(scene, 'createUser', { username: `y${username}`, displayName: username, externalId: id }, selection);

/** Posts a status. Returns its id. */
async function asAdmin(node: RunningNode, { id }: Person, act: () => Promise<unknown>): Promise<void> {
  const input = { userId: decodeGlobalId(id, 'id').id, role: 'ADMIN' as const };
  await node.deps.database.transaction((tx) => giveServiceRole(tx, undefined, input, async () => {}));
  await act();
}

/** Registers another account by a request of a user, with names derived from theirs, and returns its email address. */
async function signUp(person: Person, prefix: string): Promise<string> {
  const email = `${prefix}${person.email}`;
  await mutation(person, 'register', { username: `${prefix}${person.username}`, email, password: 'long enough' });
  return email;
}

/** An action for every mutation of the schema. The first test fails until a new mutation has one. */
const actions: Record<string, Action> = {
  register: ({ owner }) => signUp(owner, 'x'),
  login: ({ member }) => mutation(member, 'login', { usernameOrEmail: member.username, password: member.password }),
  refreshSession: ({ member }) => mutation(member, 'refreshSession', { refreshToken: member.refreshToken }),
  logout: async ({ member }) => {
    const { login } = await member.ask(
      `mutation ($i: LoginInput!) { login(input: $i) { viewer { sessions { id current } } } }`,
      { i: { usernameOrEmail: member.username, password: member.password } },
    );
    const another = login.viewer.sessions.find(({ current }: Json) => current);
    await mutation(member, 'logout', { sessionId: another.id });
  },
  changePassword: ({ member }) =>
    mutation(member, 'changePassword', { currentPassword: member.password, newPassword: 'a new password' }),
  requestPasswordReset: ({ member }) => mutation(member, 'requestPasswordReset', { email: member.email }),
  // By another user, because it ends all of their sessions.
  resetPassword: async (scene) => {
    const email = await signUp(scene.owner, 'z');
    await mutation(scene.owner, 'requestPasswordReset', { email });
    const token = tokenOf(await mailInFolder(scene.outbox, email));
    await mutation(scene.owner, 'resetPassword', { token, newPassword: 'a new password' });
  },
  createUser: (scene) => createUser(scene, scene.owner),
  createAccessToken: async (scene) => {
    const { createUser: made } = await createUser(scene, scene.member, 'user { id }');
    await byService(scene, 'createAccessToken', { userId: made.user.id });
  },
  openDirectConversation: ({ member, outsider }) => openDirect(member, outsider),
  createGroup: ({ owner, member, outsider }) => createGroup(owner, [member, outsider], { title: 'A new one' }),
  sendMessage: async ({ member, other, group, messageId }) => {
    await send(member, group, 'sent');
    await reply(other, group, (await reply(member, group, messageId, 'answered')).id, 'answered in turn');
  },
  editMessage: async ({ member, other, group, messageId }) => {
    await reply(other, group, messageId, 'answered');
    await edit(member, messageId, 'edited');
  },
  // The message is a reply, has a reply and a reaction, and is pinned.
  deleteMessage: async ({ owner, member, other, group, messageId }) => {
    const answer = await reply(other, group, messageId, 'answered');
    await reply(member, group, answer.id, 'answered in turn');
    for (const id of [messageId, answer.id]) {
      await react(owner, id, '👍');
      await pin(owner, id);
      await remove(owner, id);
    }
  },
  addReaction: async ({ owner, member, other, messageId }) => {
    for (const person of [owner, member, other]) await react(person, messageId, '👍');
    await react(member, messageId, '🏳️‍🌈');
  },
  removeReaction: async ({ owner, member, messageId }) => {
    for (const person of [owner, member]) await react(person, messageId, '👍');
    await react(owner, messageId, '🎉');
    for (const emoji of ['👍', '🎉']) await unreact(owner, messageId, emoji);
  },
  pinMessage: async ({ owner, other, direct, group, messageId }) => {
    await pin(owner, messageId);
    await pin(owner, (await send(owner, group, 'pinned too')).id);
    await pin(other, (await send(owner, direct, 'pinned by the other')).id);
  },
  unpinMessage: async ({ owner, group, messageId }) => {
    await pin(owner, (await send(owner, group, 'stays pinned')).id);
    await pin(owner, messageId);
    await unpin(owner, messageId);
  },
  addMembers: ({ owner, outsider, group }) =>
    mutation(owner, 'addMembers', { conversationId: group, userIds: [outsider.id] }),
  removeMember: async ({ owner, other, group }) => {
    await mutation(other, 'saveDraft', { conversationId: group, text: 'not sent' });
    await mutation(owner, 'removeMember', { conversationId: group, userId: other.id });
  },
  updateGroup: ({ owner, group }) => mutation(owner, 'updateGroup', { conversationId: group, title: 'Renamed' }),
  setMemberRole: ({ owner, other, group }) =>
    mutation(owner, 'setMemberRole', { conversationId: group, userId: other.id, role: 'ADMIN' }),
  joinConversation: async ({ owner, member, other, outsider, group }) => {
    await mutation(owner, 'updateGroup', { conversationId: group, visibility: 'PUBLIC' });
    await mutation(other, 'leaveConversation', { conversationId: group });
    for (const person of [outsider, member]) await mutation(person, 'joinConversation', { conversationId: group });
  },
  updateProfile: ({ member }) =>
    mutation(member, 'updateProfile', {
      displayName: 'Somebody Else',
      bio: 'New here',
      avatarUrl: 'https://example.com/a',
    }),
  blockUser: ({ owner, other }) => mutation(owner, 'blockUser', { userId: other.id }),
  unblockUser: async ({ owner, other }) => {
    await mutation(other, 'blockUser', { userId: owner.id });
    await mutation(other, 'unblockUser', { userId: owner.id });
  },
  reportMessage: async ({ other, messageId }) => {
    for (let times = 0; times < 2; times++) await mutation(other, 'reportMessage', { messageId, reason: 'SPAM' });
  },
  resolveReport: ({ node, owner, other, messageId }) =>
    asAdmin(node, owner, async () => {
      await mutation(other, 'reportMessage', { messageId, reason: 'OTHER' });
      const { reports } = await owner.ask('{ reports(first: 1) { nodes { id } } }');
      const input = { reportId: reports.nodes[0].id, resolution: 'DISMISSED' };
      for (let times = 0; times < 2; times++) await mutation(owner, 'resolveReport', input);
    }),
  suspendUser: ({ node, member, other }) =>
    asAdmin(node, member, () => mutation(member, 'suspendUser', { userId: other.id })),
  unsuspendUser: ({ node, member, other }) =>
    asAdmin(node, member, async () => {
      await mutation(member, 'suspendUser', { userId: other.id });
      await mutation(member, 'unsuspendUser', { userId: other.id });
    }),
  setServiceRole: ({ node, member, other }) =>
    asAdmin(node, member, () => mutation(member, 'setServiceRole', { userId: other.id, role: 'MODERATOR' })),
  deleteAccount: async ({ node, owner }) => {
    await mutation(owner, 'deleteAccount', { password: owner.password });
    await eventually('the erasure is complete', async () => (await node.deps.database.db.erasure.count()) === 0);
  },
  addContact: ({ owner, outsider }) => mutation(owner, 'addContact', { userId: outsider.id }),
  removeContact: async ({ owner, other, outsider }) => {
    for (const { id } of [other, outsider]) await mutation(owner, 'addContact', { userId: id });
    await mutation(owner, 'removeContact', { userId: outsider.id });
  },
  markDelivered: ({ other, group }) => mutation(other, 'markDelivered', { conversationId: group, seq: 1 }),
  markRead: ({ other, group }) => mutation(other, 'markRead', { conversationId: group, seq: 1 }),
  acknowledge: async ({ other }) =>
    mutation(other, 'acknowledge', { cursor: (await other.ask('{ viewer { syncCursor } }')).viewer.syncCursor }),
  postStatus: async ({ owner, other }) => {
    for (const [one, two] of [
      [owner, other],
      [other, owner],
    ] as const)
      await mutation(one, 'addContact', { userId: two.id });
    await postStatus(owner, { text: 'Hello' });
  },
  deleteStatus: async ({ owner }) =>
    mutation(owner, 'deleteStatus', { statusId: (await postStatus(owner, { text: 'Hello' })).id }),
  markStatusesViewed: async ({ owner }) =>
    mutation(owner, 'markStatusesViewed', { statusIds: [(await postStatus(owner, { text: 'Hello' })).id] }),
  setStatusAudience: ({ owner, other }) => setStatusAudience(owner, { mode: 'ONLY', userIds: [other.id] }),
  setStatusViewsReported: ({ owner }) => mutation(owner, 'setStatusViewsReported', { reported: false }),
  muteStatuses: ({ owner, other }) => mutation(owner, 'muteStatuses', { userId: other.id, muted: true }),
  setAvailability: ({ member }) => mutation(member, 'setAvailability', { availability: 'AWAY' }),
  setNotificationLevel: async ({ owner, member, other, group, direct }) => {
    for (const level of ['NONE', 'ALL'])
      await mutation(member, 'setNotificationLevel', { conversationId: group, level });
    for (const level of ['NONE', null])
      await mutation(owner, 'setNotificationLevel', { conversationId: direct, level });
    await mutation(other, 'setNotificationLevel', { conversationId: group, level: 'MENTIONS' });
    await mutation(other, 'leaveConversation', { conversationId: group });
  },
  muteConversation: async ({ owner, member, group, direct }) => {
    const until = '2999-01-01T00:00:00.000Z';
    await mutation(member, 'muteConversation', { conversationId: group, until });
    for (const time of [until, null])
      await mutation(owner, 'muteConversation', { conversationId: direct, until: time });
  },
  updateNotificationSettings: async ({ member }) => {
    const quietHours = { from: '22:00', to: '07:00', timeZone: 'Europe/Berlin' };
    await mutation(member, 'updateNotificationSettings', { defaultLevel: 'NONE', quietHours });
    await mutation(member, 'updateNotificationSettings', { defaultLevel: 'MENTIONS', emailDigest: true });
  },
  registerPush: ({ member }) => mutation(member, 'registerPush', { web: webDevice('a') }),
  removePush: async ({ member }) => {
    await mutation(member, 'registerPush', { web: webDevice('b') });
    const { viewer } = await member.ask('{ viewer { pushSubscriptions { id } } }');
    await mutation(member, 'removePush', { pushSubscriptionId: viewer.pushSubscriptions[0].id });
  },
  createUpload: ({ member }) => createUpload(member, Buffer.from('x')),
  completeUpload: async ({ url, member, group }) => {
    const { id } = await upload(url, member, await makePicture('jpeg'), { kind: 'IMAGE' });
    // The message is sent while the file is being processed, and changes afterwards.
    await sendWith(member, group, [id]);
    await eventually('it is ready', async () => (await attachmentOf(member, id)).state === 'READY');
  },
  cancelUpload: async ({ member }) => {
    const { attachment } = await createUpload(member, Buffer.from('x'));
    await mutation(member, 'cancelUpload', { attachmentId: attachment.id });
  },
  setAttention: ({ member }) => mutation(member, 'setAttention', { active: true }),
  markNotificationsRead: async ({ node, owner, member, other, group, direct, messageId }) => {
    await send(owner, group, `@${member.username} and @${other.username}`);
    await reply(owner, group, messageId, 'answered');
    await react(other, messageId, '👍');
    await send(owner, direct, `@${other.username}`);
    await untilNotified(node);
    const { viewer } = await member.ask('{ viewer { notifications { nodes { id } } } }');
    const [, second] = viewer.notifications.nodes;
    await mutation(member, 'markNotificationsRead', { upToId: second.id });
    await mutation(other, 'leaveConversation', { conversationId: group });
  },
  startCall: async ({ owner, other, direct }) => {
    const { call, partyId } = await start(owner, direct, 'VIDEO');
    await leave(owner, call.id, partyId);
    const again = await start(other, direct);
    await start(owner, direct);
    await leave(other, again.call.id, again.partyId);
  },
  acceptCall: async ({ owner, member, other, group }) => {
    const { call, partyId } = await start(owner, group);
    for (const person of [other, member]) await accept(person, call.id);
    await mutation(owner, 'removeMember', { conversationId: group, userId: other.id });
    await leave(owner, call.id, partyId);
    await mutation(member, 'leaveConversation', { conversationId: group });
  },
  declineCall: async ({ owner, member, other, group, direct }) => {
    await decline(other, (await start(owner, direct)).call.id);
    const { call } = await start(owner, group);
    for (const person of [member, other]) await decline(person, call.id);
  },
  leaveCall: async ({ owner, other, direct }) => {
    const { call } = await start(owner, direct);
    const { partyId } = await accept(other, call.id);
    await leave(other, call.id, partyId);
  },
  sendCallSignals: async ({ owner, other, direct }) => {
    const { call, partyId: from } = await start(owner, direct);
    const { partyId: to } = await accept(other, call.id);
    await signal(owner, call.id, [from, to], ['offer']);
    await leave(owner, call.id, from);
  },
  updateCallMedia: async ({ owner, direct }) => {
    const { call, partyId } = await start(owner, direct);
    await setMedia(owner, { callId: call.id, partyId, microphoneOn: false });
    await leave(owner, call.id, partyId);
  },
  registerDevice: ({ owner }) => registerDevice(owner),
  renameDevice: async ({ owner }) =>
    mutation(owner, 'renameDevice', { deviceId: (await registerDevice(owner)).id, name: 'Phone' }),
  removeDevice: async ({ owner }) => mutation(owner, 'removeDevice', { deviceId: (await registerDevice(owner)).id }),
  publishKeyPackages: async ({ owner }) => publish(await registerDevice(owner), [bytes()]),
  claimKeyPackages: async ({ owner, other, group }) => {
    const device = await registerDevice(other);
    await publish(device, [bytes()]);
    await enable(owner, group);
    await claim(owner, group, [device]);
  },
  setAccountKeys: ({ owner }) => {
    const [identityKey, historyKey, signature, vault] = [bytes(), bytes(), bytes(), bytes()];
    return mutation(owner, 'setAccountKeys', { identityKey, historyKey, signature, vault });
  },
  setDeviceList: async ({ owner }) => {
    const [identityKey, historyKey, signature, vault] = [bytes(), bytes(), bytes(), bytes()];
    await mutation(owner, 'setAccountKeys', { identityKey, historyKey, signature, vault });
    await mutation(owner, 'setDeviceList', { version: 1, deviceList: bytes() });
  },
  enableEncryption: ({ owner, group }) => enable(owner, group),
  setSealedKeys: async ({ owner, group }) => {
    await enable(owner, group);
    const sealedKeys = [{ generation: 1, epoch: 0, sealed: bytes() }];
    await mutation(owner, 'setSealedKeys', { conversationId: group, sealedKeys });
  },
  commitGroup: async ({ owner, member, other, group, messageId }) => {
    const devices = [await registerDevice(owner), await registerDevice(member), await registerDevice(other)] as const;
    await enable(owner, group);
    await startGroup(group, [...devices]);
    const { id } = await sendSealed(devices[1], group, 1, { replyToId: messageId });
    await mutation(owner, 'removeMember', { conversationId: group, userId: other.id });
    await commit(devices[0], group, 1, { removedDeviceIds: [devices[2].id] });
    const encrypted = { generation: 1, epoch: 2, deviceId: devices[1].id, content: bytes() };
    await mutation(member, 'editMessage', { messageId: id, encrypted });
    const { id: deletedId } = await sendSealed(devices[0], group, 2);
    await remove(owner, deletedId);
    for (const device of devices) await mutation(device.owner, 'removeDevice', { deviceId: device.id });
  },
  setTyping: ({ member, group }) => mutation(member, 'setTyping', { conversationId: group, isTyping: true }),
  summarizeConversation: ({ member, group }) =>
    mutation(member, 'summarizeConversation', { conversationId: group, fromSeq: 1 }),
  leaveConversation: async ({ owner, direct, group }) => {
    for (const id of [group, direct]) await mutation(owner, 'saveDraft', { conversationId: id, text: 'not sent' });
    await mutation(owner, 'leaveConversation', { conversationId: group });
  },
  saveDraft: async ({ owner, member, other, direct, group, messageId }) => {
    const save = (person: Person, conversationId: string, text: string, replyToId?: string) =>
      mutation(person, 'saveDraft', { conversationId, text, replyToId });
    await save(member, group, 'begun');
    await save(member, group, 'begun again', messageId);
    await save(owner, group, '', messageId);
    await save(owner, group, 'without the reply');
    for (const text of ['begun', '']) await save(owner, direct, text);
    for (const text of ['', 'one', '', 'two']) await save(other, direct, text);
  },
};

/** Actions after which their users cannot continue as before: they have no session, role or direct conversation left. */
const final = new Set(['suspendUser', 'unsuspendUser', 'setServiceRole', 'blockUser', 'unblockUser', 'deleteAccount']);

/**
 * The actions that one test performs one after another, because most of its time is spent on its four clients. Each action
 * of `final` is the last one of a test.
 */
const runs: string[][] = (() => {
  const names = Object.keys(actions);
  const ends = names.filter((name) => final.has(name));
  const others = names.filter((name) => !final.has(name));
  const size = Math.ceil(others.length / ends.length);
  return ends.map((end, index) => [...others.slice(index * size, (index + 1) * size), end]);
})();

describe('the actions', () => {
  it('are performed once each', () => {
    expect(runs.flat().sort()).toEqual(Object.keys(actions).sort());
  });

  it('cover all mutations of the schema', () => {
    expect(Object.keys(actions).sort()).toEqual(Object.keys(schema.getMutationType()?.getFields() ?? {}).sort());
  });
});

describe.each(modes)('fetched state with events applied equals the state that is fetched later in %s mode', (mode) => {
  let place: Place;
  let nodes: RunningNode[];
  const replicas: Replica[] = [];
  // Clients and comparisons take most of the time. In the short form, two of the four users have a client in each run, and
  // the other two in the other mode. In embedded mode, a third of the actions is performed, others in every run, and states
  // are compared after the last two actions only. A state that an action has made wrong usually remains wrong.
  const isShort = !isExhaustive && servicesFound;
  const performed = isShort && mode === 'embedded' ? someOf(runs, runs.length / 3) : runs;

  beforeAll(async () => {
    place = await makePlace(mode);
    nodes = await Promise.all(
      Array.from({ length: mode === 'postgresql' ? 2 : 1 }, () =>
        // Fetching the whole state exceeds the default limit of cost.
        place.start({ SYSTEM_MESSAGES: 'on', SERVICE_KEY, OPERATION_COST_MAX: '10000000' }),
      ),
    );
  });
  afterEach(async () => {
    await Promise.all(replicas.splice(0).map((replica) => replica.stop()));
  });

  it.each(performed.map((names) => [names.join(', '), names] as const))('%s', async (_title, names) => {
    const here = nodes[0]?.url ?? '';
    const there = nodes.at(-1)?.url ?? '';
    const [owner, member, other, outsider] = await registerAll(here, 'owner', 'member', 'other', 'outsider');
    const direct = await openDirect(owner, other);
    /** The state in which every action begins, with a group and a message of its own. */
    const makeScene = async (): Promise<Scene> => {
      const group = await createGroup(owner, [member, other]);
      const messageId = (await send(member, group, 'first')).id;
      const outbox = outboxOf(place);
      const node = nodes[0] as RunningNode;
      return { node, url: here, owner, member, other, outsider, group, direct, messageId, outbox };
    };
    let scene = await makeScene();
    let writes = 0;
    /** A write by another user on the other node, between any two steps. */
    const foreignWrite = async () => {
      writes += 1;
      // In the short form, the direct conversation before each action, and the group after it.
      const written = isExhaustive ? [direct, scene.group] : [writes % 2 === 0 ? scene.group : direct];
      for (const id of written) await send(other.at(there), id, `foreign ${writes}`).catch(() => {});
    };
    const turn = runs.indexOf(names) + modes.indexOf(mode);
    for (const [at, person] of [owner, member, other, outsider].entries()) {
      if (isShort && (at + turn) % 2 === 0) continue;
      const replica = new Replica(person);
      replicas.push(replica);
      await foreignWrite();
      await replica.start(person === member ? here : there);
    }
    for (const [index, name] of names.entries()) {
      if (index > 0) scene = await makeScene();
      await foreignWrite();
      await actions[name]?.(scene);
      await foreignWrite();
      if (isShort && mode === 'embedded' && index < names.length - 2) continue;
      await untilNotified(...nodes);
      for (const replica of replicas) {
        // A user who is signed out cannot fetch the state.
        const fetched = await fetchState(replica.person).catch((error: unknown) => {
          if (!String(error).includes('UNAUTHENTICATED')) throw error;
        });
        if (!fetched) continue;
        const { state, unread } = fetched;
        for (const { calls, messages } of Object.values(state.conversations))
          expect(reportedIn(messages), name).toEqual(endedIn(calls));
        const each = unreadCounts(state, replica.person.id);
        expect(unread, name).toEqual({ each, total: Object.values(each).reduce((sum, count) => sum + count, 0) });
        let last: unknown;
        const expected = JSON.stringify(sorted(state));
        await eventually('the state with events equals the fetched state', () => {
          last = replica.state;
          return JSON.stringify(sorted(last)) === expected;
        }).catch(() => expect(last, name).toEqual(state));
      }
    }
  });
});

describe.each(modes)('the views of statuses in %s mode', (mode) => {
  it('are counted as often as they are listed, after concurrent changes on several nodes', {
    timeout: 60_000,
  }, async () => {
    const [here, there] = await startTwo(await makePlace(mode));
    const names = ['author', 'v1', 'v2', 'v3', 'v4', 'v5', 'v6'] as const;
    const [author, ...viewers] = await registerAll(here.url, ...names);
    for (const viewer of viewers) await befriend(author, viewer);
    const statuses = [await postStatus(author, { text: 'one' }), await postStatus(author, { text: 'two' })];
    const statusIds = statuses.map(({ id }) => id as string);
    const events = 'subscription { statuses { type statusId status { viewCount } } }';
    const heard = listen(connectInTest(there.url, author.token), events, {}, 'statuses');
    await heard.until(({ type }) => type === 'CAUGHT_UP');
    const viewsOf = async () => {
      const fetched = await statusesOfAuthor(author, 'id viewCount views(first: 100) { nodes { user { id } } }');
      return fetched.map(({ id, viewCount, views }) => {
        const listed = views.nodes.map(({ user }: Json) => user.id) as string[];
        return { id, viewCount, listed: listed.sort() };
      });
    };
    const idsOf = (people: Person[]) => people.map(({ id }) => id).sort();
    // Some views are repeated on two nodes at once; some viewers change at the same time whether their views are reported; one
    // stops being a contact.
    const [secret, ...others] = viewers as [Person, ...Person[]];
    const leaving = others.at(-1) as Person;
    await mutation(secret, 'setStatusViewsReported', { reported: false });
    await Promise.all([
      ...viewers.flatMap((viewer) =>
        [here, there].flatMap(({ url }) =>
          [statusIds, [...statusIds].reverse()].map((ids) =>
            mutation(viewer.at(url), 'markStatusesViewed', { statusIds: ids }),
          ),
        ),
      ),
      mutation(leaving.at(there.url), 'removeContact', { userId: author.id }),
    ]);
    await mutation(leaving, 'addContact', { userId: author.id });
    await Promise.all(others.map((viewer) => mutation(viewer, 'markStatusesViewed', { statusIds })));
    const listed = idsOf(others);
    expect(await viewsOf()).toEqual(statusIds.map((id) => ({ id, viewCount: listed.length, listed })));
    // The last event for each status has the same count.
    await eventually('the author is notified', () =>
      statusIds.every(
        (id) => heard.events.findLast(({ statusId }) => statusId === id)?.status.viewCount === listed.length,
      ),
    );
    // The views of deleted accounts are neither counted nor listed.
    await leaving.ask('mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { __typename } }', {
      input: { password: leaving.password },
    });
    const left = idsOf(others.slice(0, -1));
    expect(await viewsOf()).toEqual(statusIds.map((id) => ({ id, viewCount: left.length, listed: left })));
  });
});

/** The calls that system messages report, and those that have ended: each once. */
const reportedIn = (messages: Known['messages']): string[] =>
  Object.values(messages)
    .flatMap(({ systemEvent }) => systemEvent?.call?.id ?? [])
    .sort();
const endedIn = (calls: Known['calls']): string[] =>
  Object.values(calls)
    .flatMap(({ id, state }) => (state === 'ENDED' ? [id] : []))
    .sort();

/** Serializes a value with sorted keys, for comparisons. */
function sorted(value: Json): Json {
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
