import { readFileSync } from 'node:fs';
import pLimit from 'p-limit';
import { beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { decodeGlobalId, encodeGlobalId, newId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { accept, decline, leave, setMedia, signal, start } from '../support/calls.js';
import { eventually, type Json, type Person, register, request } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { bytes, commitInput, registerDevice } from '../support/encryption.js';
import { exhaustiveModes } from '../support/exhaustive.js';
import { mailInFolder, outboxOf, tokenOf } from '../support/mail.js';
import { putPart, createUpload as startUpload } from '../support/media.js';
import { makePlace, type Place } from '../support/place.js';
import { webDevice } from '../support/push-service.js';
import { setStatusAudience } from '../support/status-posts.js';
import { attempt, createGroup, openDirect, send } from '../support/talk.js';

// Tries every cell of the tables in docs/PERMISSIONS.md.

interface Table {
  title: string;
  actors: string[];
  rows: { what: string; cells: string[] }[];
}

const tables: Table[] = readFileSync(new URL('../../docs/PERMISSIONS.md', import.meta.url), 'utf8')
  .split(/^## /m)
  .slice(1)
  .map((section) => {
    const lines = section.split('\n').filter((line) => line.startsWith('| '));
    const cellsOf = (line: string) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
    const [head = '', _rule, ...rest] = lines;
    return {
      title: section.split('\n')[0] ?? '',
      actors: cellsOf(head).slice(1),
      rows: rest.map(cellsOf).map(([what = '', ...cells]) => ({ what, cells })),
    };
  });
const mutationOf = (what: string) => what.split(',')[0] ?? '';

const SERVICE_KEY = 'the key of a backend of this service, in tests'.replaceAll(/[ ,]/g, '-');
const nobody = 'a name that nobody has';

describe('the tables of docs/PERMISSIONS.md', () => {
  it('have a row for every mutation', () => {
    const named = new Set(tables.flatMap(({ rows }) => rows.map(({ what }) => mutationOf(what))));
    expect([...named].sort()).toEqual(Object.keys(schema.getMutationType()?.getFields() ?? {}).sort());
  });
});

describe.each(exhaustiveModes)('who may do what in %s mode', (mode) => {
  let place: Place;
  let node: RunningNode;
  /** The acting user, and the users that the actions concern. */
  let one: Person;
  let two: Person;
  let three: Person;
  let four: Person;
  let count = 0;
  beforeAll(async () => {
    place = await makePlace(mode);
    node = await place.start({ SERVICE_KEY });
    [one, two, three, four] = await people('one', 'two', 'three', 'four');
  });

  const people = (...names: string[]) =>
    Promise.all(names.map((name) => register(node.url, name))) as Promise<[Person, Person, Person, Person]>;
  const withToken = (person: Person, token?: string): Person => ({
    ...person,
    request: (query, variables) => request(node.url, query, variables, token),
  });
  const signedOut = (person: Person) => withToken(person, undefined);
  const setServiceRole = (person: { id: string }, serviceRole: 'USER' | 'MODERATOR' | 'ADMIN') =>
    node.deps.database.db.user.update({ where: { id: decodeGlobalId(person.id, 'id').id }, data: { serviceRole } });
  const codeOf = (answer: Json) => (typeof answer === 'string' ? (answer.split(' ')[0] ?? '') : 'yes');
  const role = (by: Person, conversationId: string, { id }: Person, as: string) =>
    attempt(by, 'setMemberRole', { conversationId, userId: id, role: as });

  /** The action of a row, by the acting user in a scene. */
  type Try<Scene> = (actor: Person, scene: Scene) => Promise<Json>;

  // ── in a group ──

  interface Group {
    conversationId: string;
    own: string;
    theirs: string;
  }
  const member = () => two.id;
  const admin = () => three.id;
  const owner = () => four.id;

  /** A group of the owner `four`, the admin `three` and the member `two`, in which `one` has the role of the column. */
  async function makeGroup(actor: string): Promise<{ actor: Person; scene: Group }> {
    const visibility = actor.endsWith('public') ? 'PUBLIC' : 'PRIVATE';
    const conversationId = await createGroup(four, [one, two, three], { visibility });
    await role(four, conversationId, three, 'ADMIN');
    const [own, theirs] = [await send(one, conversationId, 'mine'), await send(two, conversationId, 'theirs')];
    if (actor.startsWith('outsider')) await attempt(one, 'leaveConversation', { conversationId });
    if (actor === 'admin' || actor === 'owner') await role(four, conversationId, one, actor.toUpperCase());
    return {
      actor: actor === 'signed out' ? signedOut(one) : one,
      scene: { conversationId, own: own.id, theirs: theirs.id },
    };
  }

  /** The acting user of groups is the same in all rows, and can be in one call only. */
  const oneAtATime = pLimit(1);
  /** What a device does that then leaves the call again. */
  const inCall = (act: () => Promise<Json>, leaver: Person) =>
    oneAtATime(async () => {
      const joined = await act();
      if (typeof joined !== 'string') await leave(leaver, joined.call.id, joined.partyId);
      return joined;
    });
  /** A call that a further member of the group has started. */
  async function ringing(conversationId: string): Promise<string> {
    const [caller] = await people('caller');
    await attempt(four, 'addMembers', { conversationId, userIds: [caller.id] });
    return (await start(caller, conversationId)).call.id;
  }

  const inGroup: Record<string, Try<Group>> = {
    startCall: (actor, { conversationId }) => inCall(() => start(actor, conversationId), one),
    acceptCall: async (actor, { conversationId }) => {
      const callId = await ringing(conversationId);
      return inCall(() => accept(actor, callId), one);
    },
    declineCall: async (actor, { conversationId }) => decline(actor, await ringing(conversationId)),
    sendMessage: (actor, { conversationId }) => attempt(actor, 'sendMessage', { conversationId, text: 'hello' }),
    'editMessage, one’s own': (actor, { own }) => attempt(actor, 'editMessage', { messageId: own, text: 'edited' }),
    'editMessage, a member’s': (actor, { theirs }) =>
      attempt(actor, 'editMessage', { messageId: theirs, text: 'edited' }),
    'deleteMessage, one’s own': (actor, { own }) => attempt(actor, 'deleteMessage', { messageId: own }),
    'deleteMessage, a member’s': (actor, { theirs }) => attempt(actor, 'deleteMessage', { messageId: theirs }),
    addReaction: (actor, { theirs }) => attempt(actor, 'addReaction', { messageId: theirs, emoji: '👍' }),
    removeReaction: (actor, { theirs }) => attempt(actor, 'removeReaction', { messageId: theirs, emoji: '👍' }),
    pinMessage: (actor, { theirs }) => attempt(actor, 'pinMessage', { messageId: theirs }),
    'reportMessage, one’s own': (actor, { own }) => attempt(actor, 'reportMessage', { messageId: own, reason: 'SPAM' }),
    'reportMessage, a member’s': (actor, { theirs }) =>
      attempt(actor, 'reportMessage', { messageId: theirs, reason: 'SPAM' }),
    unpinMessage: async (actor, { theirs }) => {
      await attempt(four, 'pinMessage', { messageId: theirs });
      return attempt(actor, 'unpinMessage', { messageId: theirs });
    },
    setTyping: (actor, { conversationId }) => attempt(actor, 'setTyping', { conversationId, isTyping: true }),
    enableEncryption: (actor, { conversationId }) => attempt(actor, 'enableEncryption', { conversationId }),
    commitGroup: async (actor, { conversationId }) => {
      const device = await registerDevice(one);
      await attempt(four, 'enableEncryption', { conversationId });
      const result = await attempt(actor, 'commitGroup', commitInput(device, conversationId, 0));
      await attempt(one, 'removeDevice', { deviceId: device.id });
      return result;
    },
    setSealedKeys: async (actor, { conversationId }) => {
      await attempt(four, 'enableEncryption', { conversationId });
      return attempt(actor, 'setSealedKeys', {
        conversationId,
        sealedKeys: [{ generation: 1, epoch: 0, sealed: bytes() }],
      });
    },
    claimKeyPackages: async (actor, { conversationId }) => {
      const device = await registerDevice(four);
      await attempt(four, 'enableEncryption', { conversationId });
      const result = await attempt(actor, 'claimKeyPackages', { conversationId, deviceIds: [device.id] });
      await attempt(four, 'removeDevice', { deviceId: device.id });
      return result;
    },
    saveDraft: (actor, { conversationId }) => attempt(actor, 'saveDraft', { conversationId, text: 'hello' }),
    setNotificationLevel: (actor, { conversationId }) =>
      attempt(actor, 'setNotificationLevel', { conversationId, level: 'NONE' }),
    muteConversation: (actor, { conversationId }) =>
      attempt(actor, 'muteConversation', { conversationId, until: '2999-01-01T00:00:00Z' }),
    summarizeConversation: (actor, { conversationId }) =>
      attempt(actor, 'summarizeConversation', { conversationId, fromSeq: 1 }),
    markDelivered: (actor, { conversationId }) => attempt(actor, 'markDelivered', { conversationId, seq: 1 }),
    markRead: (actor, { conversationId }) => attempt(actor, 'markRead', { conversationId, seq: 1 }),
    'updateGroup, title, description or picture': async (actor, { conversationId }) => {
      const answers = [];
      for (const input of [{ title: 'New' }, { description: 'New' }, { imageUrl: 'https://example.com/new' }]) {
        answers.push(codeOf(await attempt(actor, 'updateGroup', { conversationId, ...input })));
      }
      expect(new Set(answers).size).toBe(1);
      return answers[0] === 'yes' ? {} : answers[0];
    },
    'updateGroup, visibility': async (actor, { conversationId }) => {
      const { conversation } = await four.ask('query ($id: ID!) { conversation(id: $id) { visibility } }', {
        id: conversationId,
      });
      const visibility = conversation.visibility === 'PUBLIC' ? 'PRIVATE' : 'PUBLIC';
      return attempt(actor, 'updateGroup', { conversationId, visibility });
    },
    'updateGroup, historyVisibility': (actor, { conversationId }) =>
      attempt(actor, 'updateGroup', { conversationId, historyVisibility: 'SINCE_JOINED' }),
    addMembers: async (actor, { conversationId }) => {
      const [newcomer] = await people('newcomer');
      return attempt(actor, 'addMembers', { conversationId, userIds: [newcomer.id] });
    },
    'removeMember, a member': (actor, { conversationId }) =>
      attempt(actor, 'removeMember', { conversationId, userId: member() }),
    'removeMember, an admin': (actor, { conversationId }) =>
      attempt(actor, 'removeMember', { conversationId, userId: admin() }),
    'removeMember, an owner': (actor, { conversationId }) =>
      attempt(actor, 'removeMember', { conversationId, userId: owner() }),
    setMemberRole: (actor, { conversationId }) =>
      attempt(actor, 'setMemberRole', { conversationId, userId: member(), role: 'ADMIN' }),
    joinConversation: (actor, { conversationId }) => attempt(actor, 'joinConversation', { conversationId }),
    leaveConversation: (actor, { conversationId }) => attempt(actor, 'leaveConversation', { conversationId }),
  };

  // ── in a direct conversation ──

  interface Direct {
    /** Empty if they have no direct conversation yet. */
    conversationId: string;
    me: Person;
    other: Person;
    own: string;
    theirs: string;
  }

  /** Two users with a direct conversation, or (with `isNew`) without one. */
  async function makeDirect(actor: string, isNew: boolean): Promise<{ actor: Person; scene: Direct }> {
    const [me, other, stranger] = await people('me', 'other', 'stranger');
    const conversationId = isNew ? '' : await openDirect(me, other);
    const [own, theirs] = isNew
      ? ['', '']
      : [(await send(me, conversationId, 'mine')).id, (await send(other, conversationId, 'theirs')).id];
    // By either of the two in turn, because it must make no difference.
    if (actor === 'blocked') {
      count += 1;
      await (count % 2
        ? attempt(other, 'blockUser', { userId: me.id })
        : attempt(me, 'blockUser', { userId: other.id }));
    }
    if (actor === 'other suspended') {
      await setServiceRole(four, 'ADMIN');
      await attempt(four, 'suspendUser', { userId: other.id });
    }
    if (actor === 'other deleted') {
      await attempt(other, 'deleteAccount', { password: other.password });
      await eventually('the erasure is complete', async () => (await node.deps.database.db.erasure.count()) === 0);
    }
    const who = { 'signed out': signedOut(me), stranger }[actor] ?? me;
    return { actor: who, scene: { conversationId, me, other, own, theirs } };
  }

  /** A call of the two that has ended, because a block or a suspension ends it. */
  async function endedCall({ conversationId, me, other }: Direct) {
    const [callId, own, theirs] = [newId(), newId(), newId()];
    const { viewer } = await me.ask('{ viewer { sessions { id current } } }');
    const session = viewer.sessions.find(({ current }: Json) => current).id;
    const row = { callId, state: 'LEFT' as const, sessionId: rowId(session), cameraOn: false };
    await node.deps.database.db.call.create({
      data: {
        id: callId,
        conversationId: rowId(conversationId),
        kind: 'VOICE',
        state: 'ENDED',
        startedById: rowId(me.id),
        ringUntil: new Date(),
        endedAt: new Date(),
        endReason: 'CANCELLED',
        relayOnly: false,
      },
    });
    await node.deps.database.db.callParty.createMany({
      data: [
        { ...row, id: own, userId: rowId(me.id) },
        { ...row, id: theirs, userId: rowId(other.id) },
      ],
    });
    const party = (id: string) => encodeGlobalId('CallParty', id);
    return { callId: encodeGlobalId('Call', callId), own: party(own), theirs: party(theirs) };
  }

  const inDirect: Record<string, Try<Direct>> = {
    startCall: async (actor, { conversationId, me }) => {
      const joined = await start(actor, conversationId);
      if (typeof joined !== 'string') await leave(me, joined.call.id, joined.partyId);
      return joined;
    },
    'leaveCall, one’s own device': async (actor, scene) => {
      const { callId, own } = await endedCall(scene);
      return leave(actor, callId, own);
    },
    'leaveCall, the other’s device': async (actor, scene) => {
      const { callId, theirs } = await endedCall(scene);
      return leave(actor, callId, theirs);
    },
    updateCallMedia: async (actor, scene) => {
      const { callId, own } = await endedCall(scene);
      return setMedia(actor, { callId, partyId: own, microphoneOn: false });
    },
    sendCallSignals: async (actor, scene) => {
      const { callId, own, theirs } = await endedCall(scene);
      return signal(actor, callId, [own, theirs], ['x']);
    },
    'openDirectConversation, a new one': (actor, { other }) =>
      attempt(actor, 'openDirectConversation', { userId: other.id }),
    'openDirectConversation, an existing one': (actor, { other }) =>
      attempt(actor, 'openDirectConversation', { userId: other.id }),
    sendMessage: (actor, { conversationId }) => attempt(actor, 'sendMessage', { conversationId, text: 'hello' }),
    setTyping: (actor, { conversationId }) => attempt(actor, 'setTyping', { conversationId, isTyping: true }),
    enableEncryption: (actor, { conversationId }) => attempt(actor, 'enableEncryption', { conversationId }),
    saveDraft: (actor, { conversationId }) => attempt(actor, 'saveDraft', { conversationId, text: 'hello' }),
    setNotificationLevel: (actor, { conversationId }) =>
      attempt(actor, 'setNotificationLevel', { conversationId, level: 'NONE' }),
    muteConversation: (actor, { conversationId }) =>
      attempt(actor, 'muteConversation', { conversationId, until: '2999-01-01T00:00:00Z' }),
    summarizeConversation: (actor, { conversationId }) =>
      attempt(actor, 'summarizeConversation', { conversationId, fromSeq: 1 }),
    'editMessage, one’s own': (actor, { own }) => attempt(actor, 'editMessage', { messageId: own, text: 'edited' }),
    'deleteMessage, one’s own': (actor, { own }) => attempt(actor, 'deleteMessage', { messageId: own }),
    'deleteMessage, the other’s': (actor, { theirs }) => attempt(actor, 'deleteMessage', { messageId: theirs }),
    addReaction: (actor, { theirs }) => attempt(actor, 'addReaction', { messageId: theirs, emoji: '👍' }),
    removeReaction: (actor, { theirs }) => attempt(actor, 'removeReaction', { messageId: theirs, emoji: '👍' }),
    pinMessage: (actor, { theirs }) => attempt(actor, 'pinMessage', { messageId: theirs }),
    unpinMessage: (actor, { theirs }) => attempt(actor, 'unpinMessage', { messageId: theirs }),
    'reportMessage, the other’s': (actor, { theirs }) =>
      attempt(actor, 'reportMessage', { messageId: theirs, reason: 'SPAM' }),
    markRead: (actor, { conversationId }) => attempt(actor, 'markRead', { conversationId, seq: 2 }),
    updateGroup: (actor, { conversationId }) => attempt(actor, 'updateGroup', { conversationId, title: 'Ours' }),
    addMembers: (actor, { conversationId }) => attempt(actor, 'addMembers', { conversationId, userIds: [two.id] }),
    removeMember: (actor, { conversationId, other }) =>
      attempt(actor, 'removeMember', { conversationId, userId: other.id }),
    setMemberRole: (actor, { conversationId, other }) =>
      attempt(actor, 'setMemberRole', { conversationId, userId: other.id, role: 'ADMIN' }),
    leaveConversation: (actor, { conversationId }) => attempt(actor, 'leaveConversation', { conversationId }),
  };

  // ── for the whole service ──

  interface Service {
    /** The acting user, with a session of their own. */
    self: Person;
    user: Person;
    moderator: Person;
    admin: Person;
    /** A user whom the service key has created. */
    made: { id: string };
    /** The account of the service key. */
    own: { id: string };
  }

  const newUser = (name: string) => ({ username: name.slice(0, 32), displayName: 'New', externalId: name });

  async function makeService(actor: string): Promise<{ actor: Person; scene: Service }> {
    const [me, user, moderator, chief] = await people('me', 'user', 'moderator', 'admin');
    await setServiceRole(moderator, 'MODERATOR');
    await setServiceRole(chief, 'ADMIN');
    if (actor === 'moderator' || actor === 'admin') await setServiceRole(me, actor === 'admin' ? 'ADMIN' : 'MODERATOR');
    const key = withToken(me, SERVICE_KEY);
    const who = { 'signed out': signedOut(me), 'service key': key }[actor] ?? me;
    const { user: made } = await attempt(key, 'createUser', newUser(`made-${user.username}`), 'user { id }');
    const { data } = await key.request('{ viewer { user { id } } }');
    return {
      actor: who,
      scene: { self: actor === 'service key' ? key : me, user, moderator, admin: chief, made, own: data.viewer.user },
    };
  }
  const suspended = async ({ admin: chief }: Service, { id }: Person) => {
    await attempt(chief, 'suspendUser', { userId: id });
    return { userId: id };
  };

  /** The id of a report of a message of this user, or of the acting one. */
  async function reportAbout(sender: Person): Promise<string> {
    const [reporter] = await people('reporter');
    const { id } = await send(sender, await openDirect(reporter, sender), 'reported');
    await attempt(reporter, 'reportMessage', { messageId: id, reason: 'SPAM' });
    const row = await node.deps.database.db.report.findFirstOrThrow({ where: { messageId: rowId(id) } });
    return encodeGlobalId('Report', row.id);
  }

  const inService: Record<string, Try<Service>> = {
    'resolveReport, about another user': async (actor, { user }) =>
      attempt(actor, 'resolveReport', { reportId: await reportAbout(user), resolution: 'DISMISSED' }),
    'resolveReport, about oneself': async (actor, { self }) =>
      attempt(actor, 'resolveReport', { reportId: await reportAbout(self), resolution: 'DISMISSED' }),
    'suspendUser, a user': (actor, { user }) => attempt(actor, 'suspendUser', { userId: user.id }),
    'suspendUser, a moderator': (actor, { moderator }) => attempt(actor, 'suspendUser', { userId: moderator.id }),
    'suspendUser, an admin': (actor, { admin: chief }) => attempt(actor, 'suspendUser', { userId: chief.id }),
    'unsuspendUser, a user': async (actor, scene) =>
      attempt(actor, 'unsuspendUser', await suspended(scene, scene.user)),
    'unsuspendUser, a moderator': async (actor, scene) =>
      attempt(actor, 'unsuspendUser', await suspended(scene, scene.moderator)),
    'suspendUser, the service’s own account': (actor, { own }) => attempt(actor, 'suspendUser', { userId: own.id }),
    setServiceRole: (actor, { user }) => attempt(actor, 'setServiceRole', { userId: user.id, role: 'MODERATOR' }),
    'setServiceRole, the service’s own account': (actor, { own }) =>
      attempt(actor, 'setServiceRole', { userId: own.id, role: 'MODERATOR' }),
    createUser: (actor, { user }) => attempt(actor, 'createUser', newUser(`n${user.username}`)),
    'createAccessToken, for a user that it created': (actor, { made }) =>
      attempt(actor, 'createAccessToken', { userId: made.id }),
    'createAccessToken, for a moderator that it created': async (actor, { made }) => {
      await setServiceRole(made, 'MODERATOR');
      return attempt(actor, 'createAccessToken', { userId: made.id });
    },
    'createAccessToken, for a user who registered': (actor, { user }) =>
      attempt(actor, 'createAccessToken', { userId: user.id }),
    'createAccessToken, for the service’s own account': (actor, { own }) =>
      attempt(actor, 'createAccessToken', { userId: own.id }),
  };

  // ── for one's own account ──

  interface Self {
    me: Person;
    other: Person;
    cursor: string;
  }

  async function makeSelf(actor: string): Promise<{ actor: Person; scene: Self }> {
    const [me, other] = await people('me', 'other');
    const { viewer } = await me.ask('{ viewer { syncCursor } }');
    return { actor: actor === 'signed out' ? signedOut(me) : me, scene: { me, other, cursor: viewer.syncCursor } };
  }

  const forOneself: Record<string, Try<Self>> = {
    register: (actor, { me }) =>
      attempt(actor, 'register', {
        username: `n${me.username}`.slice(0, 32),
        email: `n${me.email}`,
        password: 'long enough',
      }),
    login: (actor, { me }) => attempt(actor, 'login', { usernameOrEmail: me.username, password: me.password }),
    refreshSession: (actor, { me }) => attempt(actor, 'refreshSession', { refreshToken: me.refreshToken }),
    requestPasswordReset: (actor, { me }) => attempt(actor, 'requestPasswordReset', { email: me.email }),
    resetPassword: async (actor, { other }) => {
      await attempt(other, 'requestPasswordReset', { email: other.email });
      const token = tokenOf(await mailInFolder(outboxOf(place), other.email));
      return attempt(actor, 'resetPassword', { token, newPassword: 'a new password' });
    },
    changePassword: (actor, { me }) =>
      attempt(actor, 'changePassword', { currentPassword: me.password, newPassword: 'a new password' }),
    logout: (actor) => attempt(actor, 'logout', {}),
    updateProfile: (actor) => attempt(actor, 'updateProfile', { displayName: 'Another' }),
    setAvailability: (actor) => attempt(actor, 'setAvailability', { availability: 'AWAY' }),
    updateNotificationSettings: (actor) => attempt(actor, 'updateNotificationSettings', { defaultLevel: 'MENTIONS' }),
    markNotificationsRead: async (actor, { me }) => {
      const id = newId();
      const row = { id, userId: decodeGlobalId(me.id, 'id').id, kind: 'REACTION', collapseId: id } as const;
      await node.deps.database.db.notification.create({
        data: { ...row, actorIds: [], count: 1, createdAt: new Date() },
      });
      return attempt(actor, 'markNotificationsRead', { upToId: encodeGlobalId('Notification', id) });
    },
    acknowledge: (actor, { cursor }) => attempt(actor, 'acknowledge', { cursor }),
    createGroup: (actor) => attempt(actor, 'createGroup', { title: nobody }),
    addContact: (actor, { other }) => attempt(actor, 'addContact', { userId: other.id }),
    removeContact: (actor, { other }) => attempt(actor, 'removeContact', { userId: other.id }),
    registerPush: (actor) => attempt(actor, 'registerPush', { web: webDevice('a') }),
    removePush: async (actor, { me }) => {
      const { pushSubscription } = await attempt(
        me,
        'registerPush',
        { web: webDevice('b') },
        'pushSubscription { id }',
      );
      return attempt(actor, 'removePush', { pushSubscriptionId: pushSubscription.id });
    },
    createUpload: (actor) => attempt(actor, 'createUpload', upload),
    completeUpload: async (actor, { me }) => attempt(actor, 'completeUpload', { attachmentId: await received(me) }),
    cancelUpload: async (actor, { me }) => attempt(actor, 'cancelUpload', { attachmentId: await received(me) }),
    setAttention: (actor) => attempt(actor, 'setAttention', { active: true }),
    blockUser: (actor, { other }) => attempt(actor, 'blockUser', { userId: other.id }),
    unblockUser: (actor, { other }) => attempt(actor, 'unblockUser', { userId: other.id }),
    postStatus: (actor) => attempt(actor, 'postStatus', { clientStatusId: 'a', text: 'hello' }),
    setStatusAudience: (actor, { other }) => setStatusAudience(actor, { mode: 'ONLY', userIds: [other.id] }),
    setStatusViewsReported: (actor) => attempt(actor, 'setStatusViewsReported', { reported: false }),
    muteStatuses: (actor, { other }) => attempt(actor, 'muteStatuses', { userId: other.id, muted: true }),
    registerDevice: (actor) => attempt(actor, 'registerDevice', { signatureKey: bytes(), certificate: bytes() }),
    renameDevice: async (actor, { me }) =>
      attempt(actor, 'renameDevice', { deviceId: (await registerDevice(me)).id, name: 'Phone' }),
    removeDevice: async (actor, { me }) => attempt(actor, 'removeDevice', { deviceId: (await registerDevice(me)).id }),
    publishKeyPackages: async (actor, { me }) =>
      attempt(actor, 'publishKeyPackages', { deviceId: (await registerDevice(me)).id, keyPackages: [bytes()] }),
    setAccountKeys: (actor) =>
      attempt(actor, 'setAccountKeys', {
        identityKey: bytes(),
        historyKey: bytes(),
        signature: bytes(),
        vault: bytes(),
      }),
    setDeviceList: async (actor, { me }) => {
      const keys = { identityKey: bytes(), historyKey: bytes(), signature: bytes(), vault: bytes() };
      await attempt(me, 'setAccountKeys', keys);
      return attempt(actor, 'setDeviceList', { version: 1, deviceList: bytes() });
    },
    deleteAccount: (actor, { me }) => attempt(actor, 'deleteAccount', { password: me.password }),
  };

  /** A status, and the direct conversation of the actor with its author. */
  interface StatusScene {
    statusId: string;
    conversationId: string;
  }

  async function makeStatus(actor: string): Promise<{ actor: Person; scene: StatusScene }> {
    const [author, viewer] = await people('author', 'viewer');
    const conversationId = await openDirect(viewer, author);
    if (actor !== 'stranger') await attempt(viewer, 'addContact', { userId: author.id });
    if (!['stranger', 'one-sided contact'].includes(actor)) await attempt(author, 'addContact', { userId: viewer.id });
    const audience = actor === 'excluded contact' ? { mode: 'CONTACTS_EXCEPT', userIds: [viewer.id] } : null;
    const input = { clientStatusId: 'a', text: 'hello', audience };
    const { status } = await attempt(author, 'postStatus', input, 'status { id }');
    if (actor === 'blocked') {
      await attempt(author, 'blockUser', { userId: viewer.id });
      await attempt(author, 'addContact', { userId: viewer.id });
    }
    const acting = { author, 'signed out': signedOut(viewer) }[actor] ?? viewer;
    return { actor: acting, scene: { statusId: status.id, conversationId } };
  }

  const withStatus: Record<string, Try<StatusScene>> = {
    deleteStatus: (actor, { statusId }) => attempt(actor, 'deleteStatus', { statusId }),
    markStatusesViewed: (actor, { statusId }) => attempt(actor, 'markStatusesViewed', { statusIds: [statusId] }),
    'sendMessage, a reply to the status': (actor, { statusId, conversationId }) =>
      attempt(actor, 'sendMessage', { conversationId, text: 'hello', replyToStatusId: statusId }),
  };

  const upload = { clientUploadId: 'a', kind: 'FILE', filename: 'a.txt', byteSize: 1 };
  /** An upload of which all parts have been sent. */
  async function received(person: Person): Promise<string> {
    const bytes = Buffer.from('x');
    const { attachment, missingParts } = await startUpload(person, bytes, upload);
    await putPart(node.url, bytes, missingParts[0]);
    return attachment.id;
  }

  interface Setup {
    actor: Person;
    scene: Json;
  }
  interface Way {
    make(actor: string, what: string): Promise<Setup>;
    tries: Record<string, Try<Json>>;
    /** Whether another row may use the scene of this column after an attempt that was denied or harmless. */
    isReused(actor: string): boolean;
  }

  /** How the columns of a table are set up, and what its rows try, by the title of the table. */
  const ways: Record<string, Way> = {
    Groups: { make: makeGroup, tries: inGroup, isReused: () => true },
    'Direct conversations': {
      make: (actor, what) => makeDirect(actor, isNewOne(what)),
      tries: inDirect,
      // Either of the two may have blocked the other, and both cases are to be tried.
      isReused: (actor) => actor !== 'blocked',
    },
    // Some rows change the scene before they try.
    'The whole service': { make: makeService, tries: inService, isReused: () => false },
    'One’s own account': { make: makeSelf, tries: forOneself, isReused: () => false },
    Statuses: { make: makeStatus, tries: withStatus, isReused: () => true },
  };
  const isNewOne = (what: string) => what.endsWith('a new one');

  /** Actions that other rows can follow in the same scene even if they were permitted. */
  const harmless = new Set([
    'sendMessage',
    'editMessage, one’s own',
    'editMessage, a member’s',
    'addReaction',
    'removeReaction',
    'setTyping',
    'saveDraft',
    'setNotificationLevel',
    'muteConversation',
    'summarizeConversation',
    'markDelivered',
    'markRead',
    'updateGroup, title, description or picture',
    'openDirectConversation, an existing one',
  ]);

  /** Scenes in which an attempt was denied or harmless, by table and column, for other rows. */
  const unchanged = new Map<string, Setup[]>();

  for (const { title, actors, rows } of tables) {
    describe(title, () => {
      it.concurrent.each(rows.map(({ what, cells }) => [what, cells] as const))('%s', async (what, cells) => {
        const way = ways[title.replaceAll("'", '’')];
        const attemptIt = way?.tries[what.replaceAll("'", '’')];
        if (!way || !attemptIt) throw new Error('no test tries this row');
        const answers: string[] = [];
        for (const column of actors) {
          const key = [title, column, isNewOne(what)].join();
          const setup = unchanged.get(key)?.pop() ?? (await way.make(column, what));
          const code = codeOf(await attemptIt(setup.actor, setup.scene));
          answers.push(code);
          const isUnchanged = code !== 'yes' || harmless.has(what.replaceAll("'", '’'));
          if (isUnchanged && way.isReused(column)) unchanged.set(key, [...(unchanged.get(key) ?? []), setup]);
        }
        expect(Object.fromEntries(actors.map((actor, index) => [actor, answers[index]]))).toEqual(
          Object.fromEntries(actors.map((actor, index) => [actor, cells[index]])),
        );
      });
    });
  }
});
