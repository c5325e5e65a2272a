import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import { newResetToken } from '../../src/infra/auth/tokens.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  connectInTest,
  eventually,
  type Json,
  listen,
  type Person,
  register,
  registerAll,
  request,
} from '../support/client.js';
import { inOneMode, modes, sharedTwo, waitingFor } from '../support/place.js';
import { attempt, createGroup, MESSAGES, openAnswered, openDirect, send, trySend } from '../support/talk.js';

const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }';

describe.each(modes)('moderation of the service in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  const describeOnce = inOneMode(mode, describe);
  let node: RunningNode;
  let other: RunningNode;
  let admin: Person;
  let moderator: Person;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode);
    [admin, moderator] = await people('admin', 'moderator');
    const { db } = node.deps.database;
    await db.user.updateMany({ where: { serviceRole: 'ADMIN' }, data: { serviceRole: 'USER' } });
    await db.user.update({
      where: { id: decodeGlobalId(admin.id, 'id').id },
      data: { serviceRole: 'ADMIN' },
    });
    await setRole(admin, moderator, 'MODERATOR');
  });

  const people = <Names extends string[]>(...names: Names) => registerAll(node.url, ...names);
  const setRole = (person: Person, { id }: Person, role: string) =>
    attempt(person, 'setServiceRole', { userId: id, role }, 'user { serviceRole }');
  const suspend = (person: Person, { id }: Person) =>
    attempt(person, 'suspendUser', { userId: id }, 'user { id suspendedAt }');
  const unsuspend = (person: Person, { id }: Person) =>
    attempt(person, 'unsuspendUser', { userId: id }, 'user { id suspendedAt }');
  const signIn = ({ username, password }: Person) =>
    request(node.url, LOGIN, { input: { usernameOrEmail: username, password } });

  it('suspends a user immediately: their sockets close, they cannot sign in, and nobody can write to them', async () => {
    const [ana, bob] = await people('ana', 'bob');
    const direct = await openDirect(ana, bob);
    const group = await createGroup(ana, [bob]);
    const closed: number[] = [];
    const client = connectInTest(other.url, ana.token, {
      on: { closed: (event) => void closed.push((event as { code: number }).code) },
    });
    await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
    const theirs = connectInTest(other.url, bob.token);
    const stream = listen(
      theirs,
      'subscription { conversations { type conversationId actor { id } conversation { viewerCanSend } } }',
      {},
      'conversations',
    );
    await stream.until(({ type }) => type === 'CAUGHT_UP');
    expect(await suspend(moderator, ana)).toEqual({ user: { id: ana.id, suspendedAt: expect.any(String) } });
    await eventually('the socket is closed', () => closed.length === 1);
    expect(closed).toEqual([4403]);
    expect(await stream.until(({ type }) => type === 'UPDATED')).toEqual({
      type: 'UPDATED',
      conversationId: direct,
      actor: null,
      conversation: { viewerCanSend: false },
    });
    expect((await ana.request('{ viewer { id } }')).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect((await signIn(ana)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    const wrong = await signIn({ ...ana, password: 'not this one' });
    expect(wrong.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
    const refresh = 'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { viewer { id } } }';
    const again = await request(node.url, refresh, { input: { refreshToken: ana.refreshToken } });
    expect(again.errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    expect((await trySend(bob, direct, 'hello?')).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    await send(bob, group, 'the group goes on');
    const [carol] = await people('carol');
    expect(await attempt(carol, 'openDirectConversation', { userId: ana.id })).toBe('FORBIDDEN input.userId');

    expect(await unsuspend(moderator, ana)).toEqual({ user: { id: ana.id, suspendedAt: null } });
    expect((await signIn(ana)).errors).toBeUndefined();
    // Earlier sessions remain ended.
    expect((await ana.request('{ viewer { id } }')).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
    await send(bob, direct, 'welcome back');
  });

  // Requires an open transaction while others run.
  it.skipIf(mode === 'embedded')(
    'rejects operations of the suspended user that waited for a lock during the suspension',
    async () => {
      const [ana, bob] = await people('ana', 'bob');
      const group = await createGroup(ana, [bob]);
      const { database } = node.deps;
      let sending: Promise<Json> = Promise.resolve();
      let renaming: Promise<Json> = Promise.resolve();
      await attempt(ana, 'setMemberRole', { conversationId: group, userId: bob.id, role: 'ADMIN' });
      await database.transaction(async (tx) => {
        await tx.conversation.update({ where: { id: decodeGlobalId(group, 'id').id }, data: { description: 'held' } });
        sending = trySend(bob.at(other.url), group, 'too late');
        renaming = attempt(bob.at(other.url), 'updateGroup', { conversationId: group, title: 'Too late' });
        await waitingFor(node, 2);
        // The suspension does not wait for the lock of a conversation.
        expect(await suspend(moderator, bob)).toMatchObject({ user: { id: bob.id } });
      });
      expect((await sending).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      expect(await renaming).toBe('UNAUTHENTICATED');
      const { conversation } = await ana.ask('query ($id: ID!) { conversation(id: $id) { title latestSeq } }', {
        id: group,
      });
      expect(conversation).toEqual({ title: 'A group', latestSeq: 0 });
    },
  );

  it.skipIf(mode === 'embedded')("rejects concurrent changes of the suspended user's own data", async () => {
    const [ana, bob] = await people('ana', 'bob');
    await createGroup(ana, [bob]);
    const userId = decodeGlobalId(bob.id, 'id').id;
    const { database } = node.deps;
    let suspending: Promise<Json> = Promise.resolve();
    let others: Promise<Json>[] = [];
    await database.transaction(async (tx) => {
      // The last step of the suspension waits for this lock, and the suspension holds the lock of the user meanwhile.
      await tx.$queryRaw`SELECT FROM sessions WHERE user_id = ${userId}::uuid FOR UPDATE`;
      suspending = suspend(moderator, bob);
      await waitingFor(node, 1);
      const there = bob.at(other.url);
      others = [
        attempt(there, 'updateProfile', { displayName: 'Too late' }),
        attempt(there, 'blockUser', { userId: ana.id }),
        attempt(there, 'addContact', { userId: ana.id }),
        attempt(there, 'deleteAccount', { password: bob.password }),
      ];
      await waitingFor(node, 5);
    });
    expect(await suspending).toMatchObject({ user: { id: bob.id } });
    expect(await Promise.all(others)).toEqual(others.map(() => 'UNAUTHENTICATED'));
    const { db } = database;
    expect(await db.user.findUnique({ where: { id: userId } })).toMatchObject({
      displayName: bob.username,
      deletedAt: null,
    });
    expect(await db.block.count({ where: { blockerId: userId } })).toBe(0);
    expect(await db.contact.count({ where: { ownerId: userId } })).toBe(0);
  });

  it.skipIf(mode === 'embedded')(
    'delivers viewerCanSend: false for a direct conversation that is opened during the suspension',
    async () => {
      const [ana, bob] = await people('ana', 'bob');
      const client = connectInTest(other.url, ana.token);
      const query = 'subscription { conversations { type conversation { id viewerCanSend } } }';
      const stream = listen(client, query, {}, 'conversations');
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      const { database } = node.deps;
      let suspending: Promise<Json> = Promise.resolve();
      let direct = '';
      await database.transaction(async (tx) => {
        await tx.$queryRaw`SELECT FROM users WHERE id = ${decodeGlobalId(moderator.id, 'id').id}::uuid FOR UPDATE`;
        suspending = suspend(moderator, bob);
        await waitingFor(node, 1);
        direct = await openDirect(ana, bob);
        await stream.until(({ type }) => type === 'JOINED');
      });
      await suspending;
      const event = await stream.until(({ type }) => type === 'UPDATED');
      expect(event.conversation).toEqual({ id: direct, viewerCanSend: false });
    },
  );

  describeOnce('a suspension leaves no session that is started at the same time by', () => {
    const RESET = 'mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { tokens { accessToken } } }';
    const living = ({ id }: Person) =>
      node.deps.database.db.session.count({ where: { userId: decodeGlobalId(id, 'id').id, endedAt: null } });
    /** Suspends a user as soon as a password has been hashed or compared. */
    const whenHashed = (person: Person): void => {
      const { passwords } = node.deps;
      const thenSuspend = async <T>(result: Promise<T>): Promise<T> => {
        const value = await result;
        node.deps.passwords = passwords;
        await suspend(admin, person);
        return value;
      };
      node.deps.passwords = {
        ...passwords,
        hash: (text) => thenSuspend(passwords.hash(text)),
        verify: (text, hash) => thenSuspend(passwords.verify(text, hash)),
      };
    };

    it.each(['login', 'resetPassword'])('%s', async (how) => {
      const [ana] = await people('ana');
      const { token, hash } = newResetToken();
      await node.deps.database.db.passwordReset.create({
        data: {
          userId: decodeGlobalId(ana.id, 'id').id,
          tokenHash: hash,
          expiresAt: new Date(Date.now() + 60_000),
        },
      });
      whenHashed(ana);
      const { errors } =
        how === 'login'
          ? await signIn(ana)
          : await request(node.url, RESET, { input: { token, newPassword: 'another password' } });
      expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      await unsuspend(admin, ana);
      expect(await living(ana)).toBe(0);
    });

    it.skipIf(mode === 'embedded')('a login that waits for the suspension to commit', async () => {
      const [ana] = await people('ana');
      const id = decodeGlobalId(ana.id, 'id').id;
      let login: ReturnType<typeof signIn> | undefined;
      await node.deps.database.transaction(async (tx) => {
        await tx.user.update({ where: { id }, data: { suspendedAt: new Date() } });
        await tx.session.updateMany({ where: { userId: id }, data: { endedAt: new Date() } });
        login = signIn(ana);
        await waitingFor(node, 1);
      });
      expect((await login)?.errors?.[0]?.extensions.code).toBe('FORBIDDEN');
      expect(await living(ana)).toBe(0);
    });
  });

  itOnce('looks to other users like a block, including presence', async () => {
    const [ana, blocker, suspended] = await people('ana', 'blocker', 'suspended');
    const gone = await register(node.url, 'gone');
    const all = [blocker, suspended, gone];
    for (const person of all) await openAnswered(ana, person);
    await attempt(blocker, 'blockUser', { userId: ana.id });
    await suspend(moderator, suspended);
    await attempt(gone, 'deleteAccount', { password: gone.password });
    const seen = await Promise.all(
      all.map(({ id }) =>
        ana.ask('query ($id: ID!) { user(id: $id) { presence { status } viewerHasBlocked suspendedAt serviceRole } }', {
          id,
        }),
      ),
    );
    expect(seen).toEqual(
      all.map(() => ({ user: { presence: null, viewerHasBlocked: false, suspendedAt: null, serviceRole: null } })),
    );
    const { viewer } = await ana.ask('{ viewer { conversations { nodes { viewerCanSend } } } }');
    expect(viewer.conversations.nodes).toEqual(all.map(() => ({ viewerCanSend: false })));
  });

  it('lets moderators suspend ordinary users, admins also moderators, and nobody admins', async () => {
    const [ana, second] = await people('ana', 'second');
    await setRole(admin, second, 'MODERATOR');
    expect(await suspend(ana, second)).toBe('FORBIDDEN');
    expect(await suspend(moderator, second)).toBe('FORBIDDEN');
    expect(await suspend(moderator, admin)).toBe('FORBIDDEN');
    expect(await suspend(moderator, moderator)).toBe('FORBIDDEN');
    expect(await suspend(admin, admin)).toBe('FORBIDDEN');
    expect(await suspend(admin, second)).toMatchObject({ user: { id: second.id } });
    expect(await unsuspend(moderator, second)).toBe('FORBIDDEN');
    expect(await setRole(admin, second, 'ADMIN')).toBe('CONFLICT input.userId');
    expect(await unsuspend(admin, second)).toMatchObject({ user: { suspendedAt: null } });
    const nobody = { ...ana, id: 'User_AaH9b5HNcECpvBfEbG_tgA' };
    expect(await suspend(admin, nobody)).toBe('NOT_FOUND input.userId');
    expect(await suspend(ana, nobody)).toBe('FORBIDDEN');
  });

  itOnce('lets only admins change roles, and keeps at least one admin', async () => {
    const [ana] = await people('ana');
    expect(await setRole(moderator, ana, 'MODERATOR')).toBe('FORBIDDEN');
    expect(await setRole(ana, ana, 'ADMIN')).toBe('FORBIDDEN');
    expect(await setRole(admin, admin, 'USER')).toBe('CONFLICT input.role');
    expect(await setRole(admin, ana, 'ADMIN')).toEqual({ user: { serviceRole: 'ADMIN' } });
    // Each revokes the role of the other: the second one is rejected.
    const answers: Json[] = await Promise.all([setRole(admin, ana, 'USER'), setRole(ana.at(other.url), admin, 'USER')]);
    expect(answers.filter((answer) => typeof answer === 'string')).toHaveLength(1);
    const admins = await node.deps.database.db.user.findMany({ where: { serviceRole: 'ADMIN' } });
    expect(admins).toHaveLength(1);
    if (answers[0] === 'FORBIDDEN' || answers[0] === 'CONFLICT input.role') await setRole(ana, admin, 'ADMIN');
    await setRole(admin, ana, 'USER');
  });

  it('shows roles and suspensions to moderators only', async () => {
    const [ana, bob, carol] = await people('ana', 'bob', 'carol');
    await suspend(moderator, bob);
    await suspend(moderator, carol);
    const query = 'query ($id: ID!) { viewer { serviceRole } user(id: $id) { serviceRole suspendedAt } }';
    expect(await ana.ask(query, { id: bob.id })).toEqual({
      viewer: { serviceRole: 'USER' },
      user: { serviceRole: null, suspendedAt: null },
    });
    expect(await moderator.ask(query, { id: bob.id })).toEqual({
      viewer: { serviceRole: 'MODERATOR' },
      user: { serviceRole: 'USER', suspendedAt: expect.any(String) },
    });
    const list =
      'query ($after: String) { suspendedUsers(first: 1, after: $after) { nodes { id } pageInfo { endCursor } } }';
    const first = (await admin.ask(list)).suspendedUsers;
    expect(first.nodes).toEqual([{ id: carol.id }]);
    expect((await moderator.ask(list, { after: first.pageInfo.endCursor })).suspendedUsers.nodes).toEqual([
      { id: bob.id },
    ]);
    expect((await ana.request(list)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  });
});
