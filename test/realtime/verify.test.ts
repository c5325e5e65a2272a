import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { ask, connect, eventually, type Json, type Person, register } from '../support/client.js';
import { mailInFolder, outboxOf, tokenOf } from '../support/mail.js';
import { footings, makePlace, type Place } from '../support/place.js';
import { createGroup, edit, openDirect, pin, react, remove, reply, send, unpin, unreact } from '../support/talk.js';

// In Zulip's manner (its `verify_action`): what somebody fetched before an action, plus the events since, is what they
// fetch after it. For every mutation, for each kind of person who may see it, with somebody else writing in between.

const SHOWN = 'title description visibility historyVisibility memberCount viewerCanSend';
const MEMBER = 'role deliveredSeq readSeq user { id username displayName bio avatarUrl deletedAt }';
const MESSAGE = `id seq kind sender { id } text editedAt deletedAt mentionsEveryone mentions { id }
  systemEvent { type oldValue newValue actor { id } subjects { id } }
  replyTo { id text deletedAt replyCount } replyCount pinnedAt viewerReactions reactions { emoji count }`;
const CONVERSATION = `id ${SHOWN} pinnedMessages { id } members(first: 100) { nodes { ${MEMBER} } } messages(last: 100) { nodes { ${MESSAGE} } }`;
const STATE = `{ viewer {
  syncCursor availability unreadCount contacts { nodes { id } } blockedUsers { nodes { id } }
  conversations(first: 100) { nodes { ${CONVERSATION} viewerMembership { unreadCount } } }
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
}
/** What somebody knows. */
interface State {
  conversations: Record<string, Known>;
  contacts: string[];
  blocked: string[];
  availability: string;
}

/** What of it is unread, by the definition: told by nobody, but counted. */
const unreadOf = ({ messages, members }: Known, userId: string): number =>
  Object.values(messages).filter(
    ({ seq, kind, deletedAt, sender }) =>
      seq > (members[userId]?.readSeq ?? 0) && kind === 'USER' && !deletedAt && sender?.id !== userId,
  ).length;
const unreadCounts = ({ conversations }: Pick<State, 'conversations'>, userId: string) =>
  Object.fromEntries(Object.entries(conversations).map(([id, known]) => [id, unreadOf(known, userId)]));

/** Between two streams there is no order, but marks only move forward. */
const furthest = (known: Pick<Member, 'deliveredSeq' | 'readSeq'> | undefined, said: Json) => ({
  deliveredSeq: Math.max(known?.deliveredSeq ?? 0, said.deliveredSeq),
  readSeq: Math.max(known?.readSeq ?? 0, said.readSeq),
});

const knownOf = ({ id: _id, members, messages, pinnedMessages, viewerMembership: _own, ...shown }: Json): Known => ({
  shown,
  members: Object.fromEntries(members.nodes.map((member: Json) => [member.user.id, member])),
  messages: Object.fromEntries(messages.nodes.map((message: Json) => [message.id, message])),
  pinned: pinnedMessages.map(({ id }: Json) => id),
});

/** As a client does that keeps each message once: what an answer shows of the message it answers is that one. */
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
    },
    unread: {
      total: viewer.unreadCount,
      each: Object.fromEntries(nodes.map((node: Json) => [node.id, node.viewerMembership.unreadCount])),
    },
  };
}

/** A client that fetched once and since then only applies events; it fetches a conversation that it comes into. */
class Replica {
  readonly person: Person;
  state: State = { conversations: {}, contacts: [], blocked: [], availability: '' };
  readonly #clients: { dispose(): unknown }[] = [];
  #work: Promise<unknown> = Promise.resolve();

  constructor(person: Person) {
    this.person = person;
  }

  async start(url: string): Promise<void> {
    const { syncCursor, state } = await fetchState(this.person);
    this.state = state;
    const follow = (
      field: string,
      query: string,
      apply: (event: Json) => Promise<void> | void,
      variables: Json = { after: syncCursor },
    ) => {
      const client = connect(url, this.person.token);
      this.#clients.push(client);
      client.subscribe(
        { query, variables },
        {
          // One after another, as they come: what is applied may fetch.
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
    // This one takes no cursor.
    const { id } = this.person;
    const showPresence = ({ user: { presence } }: Json) => {
      // Who is connected and looks offline is invisible.
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
    if (type === 'LEFT') delete conversations[conversationId];
    if (type === 'JOINED') {
      const { data, errors } = await this.person.request(ONE, { id: conversationId });
      // A suspension can end the session between the event and this query; the streams end with it.
      if (errors?.some(({ extensions }: Json) => extensions.code === 'UNAUTHENTICATED')) return;
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
    await Promise.all(this.#clients.map((client) => client.dispose()));
  }
}

const SERVICE_KEY = 'the-service-key-of-these-tests-as-long-as-it-must-be';

/** What every test begins with: a group of three, a direct conversation, a message, and an outsider. */
interface Scene {
  node: RunningNode;
  /** Where the service asks. */
  url: string;
  owner: Person;
  member: Person;
  other: Person;
  outsider: Person;
  group: string;
  direct: string;
  messageId: string;
  /** Where mails are put. */
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
/** An account of the backend's own, by the username and the id of somebody else's. */
const createUser = (scene: Scene, { username, id }: Person, selection?: string) =>
  byService(scene, 'createUser', { username: `y${username}`, displayName: username, externalId: id }, selection);

async function asAdmin(node: RunningNode, { id }: Person, act: () => Promise<unknown>): Promise<void> {
  const where = { id: decodeGlobalId(id, 'id').id };
  await node.deps.database.db.user.update({ where, data: { serviceRole: 'ADMIN' } });
  await act();
}

/** An action for every mutation of the schema; a new one fails the first test until it is here. */
const actions: Record<string, Action> = {
  register: ({ owner }) =>
    mutation(owner, 'register', { username: `x${owner.username}`, email: `x${owner.email}`, password: 'long enough' }),
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
  // Of somebody else: all sessions end with it.
  resetPassword: async (scene) => {
    await actions['register']?.(scene);
    const email = `x${scene.owner.email}`;
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
  // What it was: answered, and an answer, reacted to and pinned.
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
  removeMember: ({ owner, other, group }) =>
    mutation(owner, 'removeMember', { conversationId: group, userId: other.id }),
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
    await eventually('nothing is left to do', async () => (await node.deps.database.db.erasure.count()) === 0);
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
  setAvailability: ({ member }) => mutation(member, 'setAvailability', { availability: 'AWAY' }),
  setTyping: ({ member, group }) => mutation(member, 'setTyping', { conversationId: group, isTyping: true }),
  summarizeConversation: ({ member, group }) =>
    mutation(member, 'summarizeConversation', { conversationId: group, fromSeq: 1 }),
  leaveConversation: ({ owner, group }) => mutation(owner, 'leaveConversation', { conversationId: group }),
};

describe('the actions', () => {
  it('are all mutations of the schema', () => {
    expect(Object.keys(actions).sort()).toEqual(Object.keys(schema.getMutationType()?.getFields() ?? {}).sort());
  });
});

describe.each(footings)('what was fetched plus the events since is what is fetched, on the %s footing', (footing) => {
  let place: Place;
  let nodes: RunningNode[];
  const replicas: Replica[] = [];

  beforeAll(async () => {
    place = await makePlace(footing);
    nodes = await Promise.all(
      Array.from({ length: footing === 'postgresql' ? 2 : 1 }, () =>
        // A whole state at once is more than a client may ask for.
        place.start({ SYSTEM_MESSAGES: 'on', SERVICE_KEY, OPERATION_COST_MAX: '10000000' }),
      ),
    );
  });
  afterEach(async () => {
    await Promise.all(replicas.splice(0).map((replica) => replica.stop()));
  });

  it.each(Object.entries(actions))('%s', async (_name, act) => {
    const here = nodes[0]?.url ?? '';
    const there = nodes.at(-1)?.url ?? '';
    const [owner, member, other, outsider] = (await Promise.all(
      ['owner', 'member', 'other', 'outsider'].map((name) => register(here, name)),
    )) as [Person, Person, Person, Person];
    const group = await createGroup(owner, [member, other]);
    const direct = await openDirect(owner, other);
    const messageId = (await send(member, group, 'first')).id;
    const outbox = outboxOf(place);
    const scene = {
      node: nodes[0] as RunningNode,
      url: here,
      owner,
      member,
      other,
      outsider,
      group,
      direct,
      messageId,
      outbox,
    };
    let writes = 0;
    /** Somebody else's write, on the other node, between any two steps. */
    const foreignWrite = async () => {
      writes += 1;
      await send(other.at(there), direct, `foreign ${writes}`).catch(() => {});
      await send(other.at(there), group, `foreign ${writes}`).catch(() => {});
    };
    for (const person of [owner, member, other, outsider]) {
      const replica = new Replica(person);
      replicas.push(replica);
      await foreignWrite();
      await replica.start(person === member ? here : there);
    }
    await foreignWrite();
    await act(scene);
    await foreignWrite();
    for (const replica of replicas) {
      // Who cannot ask any more needs no truth.
      const fetched = await fetchState(replica.person).catch((error: unknown) => {
        if (!String(error).includes('UNAUTHENTICATED')) throw error;
      });
      if (!fetched) continue;
      const { state, unread } = fetched;
      const each = unreadCounts(state, replica.person.id);
      expect(unread).toEqual({ each, total: Object.values(each).reduce((sum, count) => sum + count, 0) });
      let last: unknown;
      await eventually('the events tell the rest', () => {
        last = replica.state;
        return JSON.stringify(sorted(last)) === JSON.stringify(sorted(state));
      }).catch(() => expect(last).toEqual(state));
    }
  });
});

/** With keys in order, for comparing texts. */
function sorted(value: Json): Json {
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}
