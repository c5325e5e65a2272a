import { beforeAll, describe, expect, it } from 'vitest';
import { MEMBERSHIP_SETTINGS } from '../../src/domain/conversation/membership-settings.js';
import { trimChangeLog } from '../../src/realtime/change-log.js';
import { recordPersonalChanges } from '../../src/realtime/personal-log.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, eventually, type Json, listen, type Person, registerAll } from '../support/client.js';
import {
  changesOf,
  follower,
  rowId,
  startWithLostWakeUps,
  syncCursorOf,
  untilDelivered,
} from '../support/durable-streams.js';
import type { LossyRedis } from '../support/lossy-redis.js';
import { inOneMode, makePlace, modes, servicesFound, sharedTwo, waitingFor } from '../support/place.js';
import { openSse } from '../support/sse.js';
import { attempt, createGroup, openDirect } from '../support/talk.js';

const VIEWER_CHANGES = `subscription ($after: String) {
  viewerChanges(after: $after) {
    type cursor replayed changeSeq draftId
    draft { text conversation { id } }
    membership { id role user { id } conversation { id title } }
    viewer { id availability email serviceRole user { displayName bio } }
  }
}`;

const follow = follower('viewerChanges', VIEWER_CHANGES);
const saveDraft = (person: Person, conversationId: string, text: string) =>
  attempt(person, 'saveDraft', { conversationId, text });

describe.each(modes)('viewerChanges in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    // With this interval, events are delivered by wake-ups and not by the sweep.
    [node, other] = await sharedTwo(mode, { SWEEP_INTERVAL: '1h' });
  });

  /** Records a change as a later version with settings of memberships will. */
  const changeMembership = (person: Person, conversationId: string) =>
    node.deps.database.transaction(async (tx) => {
      const key = { userId: rowId(person.id), conversationId: rowId(conversationId) };
      const data = await tx.membership.findUniqueOrThrow({ where: { conversationId_userId: key } });
      const { userId, conversationId: subjectId } = key;
      recordPersonalChanges(tx, [{ userId, type: MEMBERSHIP_SETTINGS, subjectId, actorId: userId, data }]);
    });

  it('delivers each change of the settings to all devices of the viewer, and to nobody else', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    await openDirect(ana, bob);
    const streams = [await follow(ana, node.url), await follow(ana, other.url)];
    const his = await follow(bob, other.url);
    for (const _twice of [1, 2]) await attempt(ana, 'updateProfile', { displayName: 'Ana', bio: 'Hello' });
    for (const _twice of [1, 2]) await attempt(ana, 'setAvailability', { availability: 'BUSY' });
    await node.deps.database.db.user.update({ where: { id: rowId(bob.id) }, data: { serviceRole: 'ADMIN' } });
    for (const _twice of [1, 2]) await attempt(bob, 'setServiceRole', { userId: ana.id, role: 'MODERATOR' });
    for (const stream of streams) {
      await untilDelivered(stream, 3);
      expect(changesOf(stream).map(({ type, changeSeq }) => [type, changeSeq])).toEqual([
        ['SETTINGS', 1],
        ['SETTINGS', 2],
        ['SETTINGS', 3],
      ]);
      expect(changesOf(stream).at(-1)).toMatchObject({
        replayed: false,
        draft: null,
        membership: null,
        viewer: {
          availability: 'BUSY',
          serviceRole: 'MODERATOR',
          email: ana.email,
          user: { displayName: 'Ana', bio: 'Hello' },
        },
      });
    }
    await attempt(bob, 'setAvailability', { availability: 'AWAY' });
    // The first is his role, which was changed in the database.
    await untilDelivered(his, 2);
    expect(changesOf(his).at(-1).viewer).toMatchObject({ availability: 'AWAY', serviceRole: 'ADMIN' });
  });

  it('delivers changes that a node of version 0.1.0 stores without recording them', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const stream = await follow(ana, node.url);
    const { db } = node.deps.database;
    const id = rowId(ana.id);
    const setAvailability = (availability: string) => db.$executeRaw`
      INSERT INTO presences (user_id, availability) VALUES (${id}::uuid, ${availability}::"Availability")
      ON CONFLICT (user_id) DO UPDATE SET availability = excluded.availability`;
    await db.$executeRaw`UPDATE users SET display_name = 'Ana' WHERE id = ${id}::uuid`;
    for (const availability of ['BUSY', 'AWAY', 'AWAY']) await setAvailability(availability);
    await db.$executeRaw`UPDATE users SET bio = bio, display_name = display_name WHERE id = ${id}::uuid`;
    const identity = { issuer: 'https://accounts.example', subject: ana.id };
    await db.outsideIdentity.create({ data: { ...identity, userId: id, email: 'old@example.com' } });
    // The empty address is stored when an account is deleted.
    for (const email of ['new@example.com', 'new@example.com', '']) {
      await db.outsideIdentity.updateMany({ where: identity, data: { email, nameClaim: 'Ana' } });
    }
    await node.deps.feed.sweep();
    await untilDelivered(stream, 4);
    expect(changesOf(stream).map(({ type, changeSeq }) => [type, changeSeq])).toEqual([
      ['SETTINGS', 1],
      ['SETTINGS', 2],
      ['SETTINGS', 3],
      ['SETTINGS', 4],
    ]);
    expect(changesOf(stream).at(-1).viewer).toMatchObject({ availability: 'AWAY', user: { displayName: 'Ana' } });
  });

  it.skipIf(mode === 'embedded')('delivers each of two changes that are made at the same time', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const stream = await follow(ana, other.url);
    const { db } = node.deps.database;
    const setTo = (availability: string) => attempt(ana, 'setAvailability', { availability });
    let both: Promise<Json> = Promise.resolve();
    await db.$transaction(async (tx) => {
      await tx.$queryRaw`SELECT FROM users WHERE id = ${rowId(ana.id)}::uuid FOR UPDATE`;
      const first = setTo('BUSY');
      await waitingFor(node, 1);
      const second = setTo('ONLINE');
      await waitingFor(node, 2);
      both = Promise.all([first, second]);
    });
    await both;
    await untilDelivered(stream, 2);
    expect(changesOf(stream).at(-1).viewer.availability).toBe('ONLINE');
  });

  it("delivers changes of the viewer's own membership, which a newer version makes", async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const group = await createGroup(ana, [bob]);
    const [stream, his] = [await follow(ana, other.url), await follow(bob, other.url)];
    await changeMembership(ana, group);
    await saveDraft(bob, group, 'a marker');
    await untilDelivered(stream, 1);
    expect(changesOf(stream)[0]).toMatchObject({
      type: 'MEMBERSHIP_SETTINGS',
      membership: { role: 'OWNER', user: { id: ana.id }, conversation: { id: group, title: 'A group' } },
      draft: null,
      viewer: null,
    });
    await untilDelivered(his, 1);
    expect(changesOf(his)[0].type).toBe('DRAFT_SAVED');
  });

  it('resumes on any node with the latest change of each setting and of each draft', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const [group, left] = [await createGroup(ana, [bob]), await createGroup(bob, [ana])];
    const after = await syncCursorOf(ana);
    await changeMembership(ana, left);
    await attempt(ana, 'addContact', { userId: bob.id });
    await changeMembership(ana, group);
    await saveDraft(ana, group, 'a plan');
    for (const availability of ['BUSY', 'AWAY']) await attempt(ana, 'setAvailability', { availability });
    await attempt(ana, 'leaveConversation', { conversationId: left });
    await attempt(bob, 'updateProfile', { bio: 'Another' });
    const stream = await follow(ana, other.url, after);
    expect(changesOf(stream)).toMatchObject([
      { type: 'MEMBERSHIP_SETTINGS', replayed: true, membership: { conversation: { id: group } } },
      { type: 'DRAFT_SAVED', replayed: true, draft: { text: 'a plan' } },
      { type: 'SETTINGS', replayed: true, viewer: { availability: 'AWAY' } },
    ]);
    expect(changesOf(await follow(bob, other.url, after))).toMatchObject([
      { type: 'SETTINGS', viewer: { user: { bio: 'Another' } } },
    ]);
  });

  itOnce('fails with CURSOR_EXPIRED if changes after the cursor have been trimmed', async () => {
    // On a database of its own: the cursors of the other tests are as old as the start of their nodes.
    const { url, deps } = await (await makePlace(mode)).start({ SWEEP_INTERVAL: '1h' });
    const [ana] = await registerAll(url, 'ana');
    const after = await syncCursorOf(ana);
    await attempt(ana, 'setAvailability', { availability: 'BUSY' });
    await eventually('the change is trimmed', async () => (await trimChangeLog(deps.database.db, 0)) > 0);
    const stream = listen(connectInTest(url, ana.token), VIEWER_CHANGES, { after }, 'viewerChanges');
    const [error] = (await stream.ended) as Json[];
    expect(error.extensions).toMatchObject({ code: 'CURSOR_EXPIRED', field: 'after' });
    const fresh = await follow(ana, url);
    await attempt(ana, 'setAvailability', { availability: 'AWAY' });
    await untilDelivered(fresh, 1);
  });

  itOnce('ends with the session, and delivers nothing afterwards', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const { login } = await ana.ask(
      'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } viewer { sessions { id current } } } }',
      { input: { usernameOrEmail: ana.username, password: ana.password } },
    );
    const device = { ...ana, token: login.tokens.accessToken };
    const [lost, kept] = [await follow(device, other.url), await follow(ana, other.url)];
    const sse = await openSse(other.url, device.token, {}, () => {}, VIEWER_CHANGES);
    await eventually('the SSE stream is live', () => sse.results.length === 1);
    const { id: sessionId } = login.viewer.sessions.find(({ current }: Json) => current);
    await attempt(ana, 'logout', { sessionId });
    await attempt(ana, 'setAvailability', { availability: 'BUSY' });
    await untilDelivered(kept, 1);
    await Promise.all([lost.ended, sse.ended]);
    expect(changesOf(lost)).toEqual([]);
    expect(sse.results.flatMap(({ data, errors }) => data?.viewerChanges?.type ?? errors[0].extensions.code)).toEqual([
      'CAUGHT_UP',
      'UNAUTHENTICATED',
    ]);
  });

  itOnce('requires a signed-in user', async () => {
    const stream = listen(connectInTest(node.url), VIEWER_CHANGES, {}, 'viewerChanges');
    const [error] = (await stream.ended) as Json[];
    expect(error.extensions.code).toBe('UNAUTHENTICATED');
  });
});

describe.skipIf(!servicesFound)('viewerChanges without wake-ups', () => {
  let node: RunningNode;
  let deaf: RunningNode;
  let lossy: LossyRedis;
  beforeAll(async () => {
    ({ node, deaf, lossy } = await startWithLostWakeUps({}, { SWEEP_INTERVAL: '1h' }));
  });

  it('delivers each change once after the sweep has found it', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const stream = await follow(ana, deaf.url);
    await saveDraft(ana, direct, 'Hello');
    await attempt(ana, 'setAvailability', { availability: 'BUSY' });
    await deaf.deps.feed.sweep();
    await untilDelivered(stream, 2);
    // A draft that is deleted before the sweep finds it was never saved, as far as this device knows.
    for (const text of ['Hello again', '']) await saveDraft(ana, direct, text);
    await deaf.deps.feed.sweep();
    await untilDelivered(stream, 3);
    expect(changesOf(stream).map(({ type, changeSeq, draft }) => [type, changeSeq, draft?.text])).toEqual([
      ['DRAFT_SAVED', 1, 'Hello'],
      ['SETTINGS', 2, undefined],
      ['DRAFT_DELETED', 4, ''],
    ]);
    expect(lossy.lost).toBeGreaterThan(0);
  });
});
