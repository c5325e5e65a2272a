import { beforeAll, describe, expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import type { RunningNode } from '../../src/server/start.js';
import { accept, followCalls, leave, signInAgain, start, untilEnded } from '../support/calls.js';
import { eventually, type Json, type Person, registerAll } from '../support/client.js';
import { rowId } from '../support/durable-streams.js';
import { atFileEnd } from '../support/ending.js';
import { readToken, startLiveKit } from '../support/livekit.js';
import { inOneMode, makePlace, modes } from '../support/place.js';
import { createGroup, openDirect, REMOVE_MEMBER } from '../support/talk.js';

const KEY = 'the key';
const SECRET = 'the secret of the LiveKit server, long enough';
const SFU = { CALL_SFU_URL: 'wss://livekit.example.com', CALL_SFU_KEY: KEY, CALL_SFU_SECRET: SECRET };

describe.each(modes)('calls over an SFU in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let livekit: Awaited<ReturnType<typeof startLiveKit>>;
  beforeAll(async () => {
    livekit = await startLiveKit(KEY, SECRET);
    atFileEnd(() => livekit.close());
    const place = await makePlace(mode, { end: atFileEnd });
    const turn = { TURN_URLS: 'turn:127.0.0.1:3478', TURN_SECRET: 's'.repeat(32) };
    const settings = { ...SFU, ...turn, CALL_SFU_URL: livekit.url, CALL_PARTIES_MAX: '2', CALL_SFU_TOKEN_TTL: '3m' };
    node = await place.start(settings);
  });

  const SFU_FIELDS = 'relayOnly sfu { url room access { token expiresAt } }';
  const sfuOf = async (person: Person, id: string): Promise<Json> =>
    (await person.ask(`query ($id: ID!) { node(id: $id) { ... on Call { ${SFU_FIELDS} } } }`, { id })).node;
  const makeCall = async () => {
    const people = await registerAll(node.url, 'ana', 'bob', 'carol');
    const [ana, bob, carol] = people;
    const group = await createGroup(ana, [bob, carol]);
    const { call, partyId } = await start(ana, group);
    return { ana, bob, carol, group, id: call.id as string, partyId: partyId as string };
  };
  const roomOf = (callId: string) => `parley-${rowId(callId)}`;
  /** The requests about a room, each once however often it was repeated. */
  const requestsFor = (room: string) => [
    ...new Set(
      livekit.requests.filter(({ body }) => body.room === room).map(({ method, body }) => `${method} ${body.identity}`),
    ),
  ];
  const tasksFor = (room: string) => node.deps.database.db.callSfuTask.count({ where: { room } });

  it('have tokens for the devices in the call, and for no others', async () => {
    const { ana, bob, carol, group, id, partyId } = await makeCall();
    const found = await sfuOf(ana, id);
    expect(found).toMatchObject({ relayOnly: false, sfu: { url: livekit.url, room: roomOf(id) } });
    const { token, expiresAt } = found.sfu.access;
    const claims = readToken(token, SECRET);
    expect(claims).toEqual({
      iss: KEY,
      sub: partyId,
      exp: expect.any(Number),
      video: { room: roomOf(id), roomJoin: true, canPublish: true, canSubscribe: true, canPublishData: false },
    });
    expect(Math.abs(claims.exp * 1_000 - Date.parse(expiresAt))).toBeLessThan(2_000);
    expect(Math.abs(claims.exp * 1_000 - Date.now() - 180_000)).toBeLessThan(60_000);
    // Neither for members who have not joined, nor for other devices of the same user.
    for (const person of [bob, carol, await signInAgain(ana, node.url)]) {
      expect(await sfuOf(person, id)).toMatchObject({ sfu: { url: livekit.url, access: null } });
    }
    const stream = await followCalls(carol, node.url);
    const { partyId: bobs } = await accept(bob, id);
    expect(readToken((await sfuOf(bob, id)).sfu.access.token, SECRET).sub).toBe(bobs);
    expect((await sfuOf(bob, id)).relayOnly).toBe(false);
    await leave(bob, id, bobs);
    expect((await sfuOf(bob, id)).sfu.access).toBeNull();
    await leave(ana, id, partyId);
    await untilEnded(stream, id);
    expect((await sfuOf(ana, id)).sfu.access).toBeNull();
    // It depends on the number of members.
    await ana.ask(REMOVE_MEMBER, { input: { conversationId: group, userId: carol.id } });
    for (const conversation of [group, await openDirect(ana, bob)]) {
      const small = await start(ana, conversation);
      expect((await sfuOf(ana, small.call.id)).sfu).toBeNull();
      await leave(ana, small.call.id, small.partyId);
      await eventually('no task is stored for it', async () => (await tasksFor(roomOf(small.call.id))) === 0);
    }
  });

  itOnce(
    'disconnect devices that leave or are removed, and all when they end, also if the server was away',
    async () => {
      const { ana, bob, carol, group, id, partyId } = await makeCall();
      const room = roomOf(id);
      const [bobs, carols] = [await accept(bob, id), await accept(carol, id)];
      expect(bobs.call.parties).toHaveLength(2);
      await ana.ask(REMOVE_MEMBER, { input: { conversationId: group, userId: bob.id } });
      await eventually('the removed member is disconnected', () => requestsFor(room).length === 1);
      await leave(carol, id, carols.partyId);
      await eventually('the device that has left is disconnected', () => requestsFor(room).length === 2);
      livekit.failWith(503);
      await leave(ana, id, partyId);
      await eventually('the server refuses', () => livekit.failed > 0);
      expect(requestsFor(room)).toHaveLength(2);
      livekit.failWith(undefined);
      await eventually('the room is deleted', () => requestsFor(room).length === 3);
      expect(requestsFor(room)).toEqual([
        `RemoveParticipant ${bobs.partyId}`,
        `RemoveParticipant ${carols.partyId}`,
        'DeleteRoom undefined',
      ]);
      // A device can connect again as long as it has a valid token. Afterwards, nothing is repeated any more.
      expect(await tasksFor(room)).toBe(3);
      const before = livekit.requests.length;
      await node.deps.database.db.callSfuTask.updateMany({
        where: { room },
        data: { tokensUntil: new Date(Date.now() - 1_000), dueAt: new Date(Date.now() - 1_000) },
      });
      await eventually('all tasks have been done for the last time', async () => (await tasksFor(room)) === 0);
      expect(livekit.requests).toHaveLength(before + 3);
    },
  );
});

describe('the settings of the SFU', () => {
  it.each([
    [{ ...SFU, CALL_SFU_URL: 'https://livekit.example.com' }, 'CALL_SFU_URL'],
    [{ ...SFU, CALL_SFU_SECRET: 'short' }, 'CALL_SFU_SECRET'],
    [{ CALL_SFU_URL: SFU.CALL_SFU_URL, CALL_SFU_SECRET: SECRET }, 'CALL_SFU_KEY'],
    [{ CALL_SFU_KEY: KEY }, 'CALL_SFU_URL, CALL_SFU_SECRET'],
  ])('are checked: %o', (env, name) => {
    expect(() => readConfig({ DATA_DIR: '.data', ...env })).toThrow(name);
  });
});
