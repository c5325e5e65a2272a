import { beforeAll, describe, expect, it } from 'vitest';
import { deleteSignals } from '../../src/domain/call/call.store.js';
import { giveServiceRole } from '../../src/domain/moderation/moderation.service.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  accept,
  CALL,
  CALLS,
  callMessagesOf,
  decline,
  followCalls,
  historyOf,
  leave,
  payloadsOf,
  setMedia,
  signal,
  signInAgain,
  start,
  statesOf,
  untilEnded,
} from '../support/calls.js';
import { ask, eventually, type Json, type Person, register, registerAll } from '../support/client.js';
import { rowId, startWithLostWakeUps } from '../support/durable-streams.js';
import { CASES_TIMEOUT_MS, isExhaustive } from '../support/exhaustive.js';
import { anyMode, inOneMode, modes, servicesFound, sharedNode, sharedTwo } from '../support/place.js';
import { openSse } from '../support/sse.js';
import { statementsOf } from '../support/statements.js';
import { attempt, createGroup, openDirect, REMOVE_MEMBER } from '../support/talk.js';

/** How often a race is run. */
const ROUNDS = isExhaustive ? 500 : 3;

const SETTINGS = {
  // With this interval, events are delivered by wake-ups and not by the sweep.
  SWEEP_INTERVAL: '1h',
  SYSTEM_MESSAGES: 'on',
  CALL_PARTIES_MAX: '3',
  CALL_MEMBERS_MAX: '5',
  CALL_SIGNAL_MAX_BYTES: '70000',
  CALL_SIGNALS_MAX: '50',
};

describe.each(modes)('calls in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode, SETTINGS);
  });

  /** Lets a call ring no longer. */
  const endRinging = (callId: string) =>
    node.deps.database.db
      .$executeRaw`UPDATE calls SET ring_until = clock_timestamp() WHERE id = ${rowId(callId)}::uuid`;
  /** Lets a device be silent for some seconds. */
  const silence = (partyId: string, seconds: number) =>
    node.deps.database.db.$executeRaw`
      UPDATE call_parties SET seen_at = clock_timestamp() - ${seconds}::int * interval '1 second'
      WHERE id = ${rowId(partyId)}::uuid`;

  /** Runs the rounds of a race, in the long form with four pairs of users at the same time. */
  async function inPairs(race: (pair: [Person, Person], rounds: number) => Promise<void>): Promise<void> {
    const pairs = isExhaustive ? 4 : 1;
    const run = async (pair: number) =>
      race(await registerAll(node.url, `caller${pair}`, `callee${pair}`), ROUNDS / pairs);
    await Promise.all(Array.from({ length: pairs }, (_, pair) => run(pair)));
  }

  it('ring on all devices, are answered by one, and end with a duration, a message and an entry of the history', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const [ofAna, ofBob, alsoOfBob] = [
      await followCalls(ana, node.url),
      await followCalls(bob, other.url),
      await followCalls(bob, node.url),
    ];
    const begun = await start(ana, direct, 'VIDEO');
    const { id } = begun.call;
    expect(begun.call).toMatchObject({
      kind: 'VIDEO',
      state: 'RINGING',
      endReason: null,
      answeredAt: null,
      durationMs: null,
      relayOnly: false,
      startedBy: { id: ana.id },
      conversation: { id: direct },
      parties: [
        {
          id: begun.partyId,
          state: 'CONNECTED',
          microphoneOn: true,
          cameraOn: true,
          screenOn: false,
          user: { id: ana.id },
        },
      ],
    });
    expect(Date.parse(begun.call.ringUntil) - Date.parse(begun.call.startedAt)).toBeCloseTo(45_000, -2);
    for (const stream of [ofAna, ofBob, alsoOfBob]) {
      const { call } = await stream.until(({ type }) => type === 'CHANGED');
      expect(call).toEqual(begun.call);
    }
    const answered = await accept(bob.at(other.url), id);
    expect(answered.call).toMatchObject({
      state: 'ACTIVE',
      parties: [
        { user: { id: ana.id }, state: 'CONNECTED' },
        { id: answered.partyId, user: { id: bob.id }, state: 'CONNECTED' },
      ],
    });
    const active = `query ($id: ID!) { conversation(id: $id) { activeCall { ${CALL} } } }`;
    expect((await bob.ask(active, { id: direct })).conversation.activeCall).toEqual(answered.call);
    expect((await bob.ask(`query ($id: ID!) { node(id: $id) { ... on Call { ${CALL} } } }`, { id })).node).toEqual(
      answered.call,
    );
    const ended = await leave(ana, id, begun.partyId);
    expect(ended.call).toMatchObject({
      state: 'ENDED',
      endReason: 'HUNG_UP',
      parties: [{ state: 'LEFT' }, { state: 'LEFT' }],
    });
    expect(ended.call.durationMs).toBe(Date.parse(ended.call.endedAt) - Date.parse(ended.call.answeredAt));
    for (const stream of [ofAna, ofBob, alsoOfBob]) {
      expect(await untilEnded(stream, id)).toEqual(ended.call);
      expect(statesOf(stream, id)).toEqual(['RINGING', 'ACTIVE', 'ENDED']);
    }
    expect((await ana.ask(active, { id: direct })).conversation.activeCall).toBeNull();
    expect(await historyOf(bob, direct)).toEqual([ended.call]);
    expect(await callMessagesOf(bob, direct)).toEqual([
      {
        type: 'CALL_ENDED',
        newValue: 'HUNG_UP',
        actor: { id: ana.id },
        subjects: expect.arrayContaining([{ id: ana.id }, { id: bob.id }]),
        call: { id, endReason: 'HUNG_UP', durationMs: ended.call.durationMs },
      },
    ]);
    // Nothing changes a call that has ended.
    expect(await leave(ana, id, begun.partyId)).toEqual({ call: ended.call });
    expect(await decline(bob, id)).toEqual({ call: ended.call });
    expect(await accept(bob, id)).toBe('CONFLICT CALL_ENDED');
    expect(await setMedia(ana, { callId: id, partyId: begun.partyId, cameraOn: false })).toEqual({ call: ended.call });
    expect(await callMessagesOf(bob, direct)).toHaveLength(1);
  });

  it('are declined, cancelled or missed', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const stream = await followCalls(bob, other.url);
    const ends: Record<string, (call: Json, partyId: string) => Promise<unknown>> = {
      DECLINED: ({ id }) => decline(bob.at(other.url), id),
      CANCELLED: ({ id }, partyId) => leave(ana, id, partyId),
      MISSED: ({ id }) => endRinging(id),
    };
    for (const [reason, end] of Object.entries(ends)) {
      const { call, partyId } = await start(ana, direct);
      await end(call, partyId);
      expect(await untilEnded(stream, call.id)).toMatchObject({ endReason: reason, durationMs: null });
      expect(await accept(bob, call.id)).toBe('CONFLICT CALL_ENDED');
    }
    const reasons = Object.keys(ends);
    expect((await historyOf(ana, direct)).map(({ endReason }) => endReason)).toEqual(reasons.toReversed());
    expect((await callMessagesOf(ana, direct)).map(({ newValue }) => newValue)).toEqual(reasons);
  });

  itOnce('are over when they have rung long enough, even before a node has ended them', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const { call } = await start(ana, direct);
    // Another node has claimed it, and does not end it.
    await node.deps.database.db.$executeRaw`
      UPDATE calls SET ring_until = clock_timestamp(), claimed_until = 'infinity' WHERE id = ${rowId(call.id)}::uuid`;
    expect(await accept(bob, call.id)).toBe('CONFLICT CALL_ENDED');
    expect((await historyOf(ana, direct))[0].state).toBe('RINGING');
    const next = await start(bob, direct);
    expect(next.call).toMatchObject({ state: 'RINGING', startedBy: { id: bob.id } });
    expect(await historyOf(ana, direct)).toMatchObject([{ id: next.call.id }, { id: call.id, endReason: 'MISSED' }]);
  });

  itOnce('are started once per key', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const [direct, another] = [await openDirect(ana, bob), await openDirect(ana, carol)];
    const [first, second] = await Promise.all([
      start(ana, direct, 'VOICE', 'the key'),
      start(ana.at(other.url), direct, 'VOICE', 'the key'),
    ]);
    expect(second).toEqual(first);
    expect(await start(ana, direct, 'VIDEO', 'the key')).toBe('CONFLICT input.clientCallId');
    expect(await start(ana, another, 'VOICE', 'the key')).toBe('CONFLICT input.clientCallId');
    await leave(ana, first.call.id, first.partyId);
    // A retry that arrives late does not call again.
    expect(await start(ana, direct, 'VOICE', 'the key')).toMatchObject({
      partyId: first.partyId,
      call: { id: first.call.id, state: 'ENDED' },
    });
    expect(await start(ana, direct, 'VOICE', ' ')).toBe('BAD_USER_INPUT input.clientCallId');
    const next = await start(ana, direct, 'VOICE', 'another key');
    const accepted = await accept(bob, next.call.id, 'my device');
    expect(await accept(bob.at(other.url), next.call.id, 'my device')).toEqual(accepted);
    expect(await accept(bob, next.call.id)).toBe('CONFLICT ANSWERED_ELSEWHERE');
    expect(await accept(bob, next.call.id, 'another tab')).toBe('CONFLICT ANSWERED_ELSEWHERE');
    expect(await historyOf(ana, direct)).toHaveLength(2);
  });

  itOnce('are answered when both users call each other at the same time', { timeout: CASES_TIMEOUT_MS }, async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    for (let round = 0; round < ROUNDS; round += 1) {
      const [one, two] = await Promise.all([start(ana, direct), start(bob.at(other.url), direct, 'VIDEO')]);
      expect(two.call.id).toBe(one.call.id);
      expect(two.partyId).not.toBe(one.partyId);
      const [call] = await historyOf(ana, direct, 1);
      expect(call).toMatchObject({ state: 'ACTIVE', parties: [{ state: 'CONNECTED' }, { state: 'CONNECTED' }] });
      await leave(round % 2 ? ana : bob, call.id, round % 2 ? one.partyId : two.partyId);
    }
    expect(await historyOf(ana, direct)).toHaveLength(Math.min(ROUNDS, 50));
  });

  itOnce(
    'are answered by exactly one of five devices at two nodes, and all others stop ringing',
    {
      timeout: CASES_TIMEOUT_MS,
    },
    async () => {
      /** The time from the answer until each of the other devices received the event, in milliseconds. */
      const stoppedMs: number[] = [];
      await inPairs(async ([ana, bob], rounds) => {
        const direct = await openDirect(ana, bob);
        const urls = [node.url, other.url, node.url, other.url, node.url];
        const devices = await Promise.all(urls.map((url) => signInAgain(bob, url)));
        const streams = await Promise.all(devices.map((device, index) => followCalls(device, urls[index] as string)));
        for (let round = 0; round < rounds; round += 1) {
          const { call, partyId } = await start(ana, direct);
          await Promise.all(streams.map((stream) => stream.until((event) => event.call?.id === call.id)));
          const stops = streams.map(async (stream) => {
            const event = await stream.until((each) => each.call?.id === call.id && each.call.state === 'ACTIVE');
            return { event, at: performance.now() };
          });
          const answers = await Promise.all(
            devices.map(async (device) => ({ answer: await accept(device, call.id), at: performance.now() })),
          );
          const winners = answers.filter(({ answer }) => typeof answer !== 'string');
          expect(winners).toHaveLength(1);
          expect(answers.filter(({ answer }) => answer === 'CONFLICT ANSWERED_ELSEWHERE')).toHaveLength(4);
          const [winner] = winners as [(typeof winners)[number]];
          for (const [index, { event, at }] of (await Promise.all(stops)).entries()) {
            expect(event.call.parties.map(({ id }: Json) => id)).toEqual([partyId, winner.answer.partyId]);
            if (answers[index] !== winner) stoppedMs.push(at - winner.at);
          }
          await leave(ana, call.id, partyId);
          await Promise.all(streams.map((stream) => untilEnded(stream, call.id)));
          for (const { events } of streams) events.length = 0;
        }
      });
      expect(stoppedMs).toHaveLength(4 * ROUNDS);
      // Other tests run at the same time as the short form.
      if (isExhaustive) {
        console.log(`five devices, ${mode}: the others stopped at most ${Math.max(...stoppedMs).toFixed(0)} ms later`);
        expect(Math.max(...stoppedMs)).toBeLessThan(1_000);
      }
    },
  );

  itOnce(
    'end in one way when they are answered and cancelled, declined or missed at the same time',
    {
      timeout: CASES_TIMEOUT_MS,
    },
    async () => {
      await inPairs(async ([ana, bob], rounds) => {
        const direct = await openDirect(ana, bob);
        const second = await signInAgain(bob, node.url);
        const stream = await followCalls(bob, node.url);
        for (let round = 0; round < rounds; round += 1) {
          const { call, partyId } = await start(ana, direct);
          const opposite = [
            () => leave(ana, call.id, partyId),
            () => decline(second, call.id),
            () => endRinging(call.id),
          ][round % 3] as () => Promise<unknown>;
          const [answer] = await Promise.all([accept(bob.at(other.url), call.id), opposite()]);
          if (typeof answer === 'string') {
            expect(answer).toBe('CONFLICT CALL_ENDED');
            const { endReason } = await untilEnded(stream, call.id);
            expect(endReason).toBe(['CANCELLED', 'DECLINED', 'MISSED'][round % 3]);
          } else {
            // A decline after the answer changes nothing.
            await decline(second, call.id);
            const ended = round % 3 === 0 ? undefined : await leave(bob, call.id, answer.partyId);
            expect((await untilEnded(stream, call.id)).endReason).toBe('HUNG_UP');
            if (ended) expect(ended.call.state).toBe('ENDED');
          }
          const states = statesOf(stream, call.id);
          expect(states.filter((state) => state === 'ENDED')).toHaveLength(1);
          expect(states.at(-1)).toBe('ENDED');
        }
        expect(await callMessagesOf(ana, direct)).toHaveLength(Math.min(rounds, 100));
      });
    },
  );

  it('are busy when the other user is in another call, and can ring at the same time as others', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const [withBob, withCarol, others] = [
      await openDirect(ana, bob),
      await openDirect(ana, carol),
      await openDirect(bob, carol),
    ];
    const begun = await start(bob, withBob);
    // Both ring: nobody has answered.
    const second = await start(carol.at(other.url), withCarol);
    expect(second.call.state).toBe('RINGING');
    expect(await accept(ana, begun.call.id)).toMatchObject({ call: { state: 'ACTIVE' } });
    expect(await accept(ana, second.call.id)).toBe('CONFLICT IN_ANOTHER_CALL');
    await decline(ana, second.call.id);
    const stream = await followCalls(bob, other.url);
    const busy = await start(carol, others);
    expect(busy.call).toMatchObject({
      state: 'ENDED',
      endReason: 'BUSY',
      parties: [{ id: busy.partyId, state: 'LEFT' }],
    });
    expect(await untilEnded(stream, busy.call.id)).toEqual(busy.call);
    expect((await callMessagesOf(bob, others)).map(({ newValue }) => newValue)).toEqual(['BUSY']);
    expect(await start(ana, withCarol)).toBe('CONFLICT IN_ANOTHER_CALL');
    expect(await start(ana, withBob)).toBe('CONFLICT ANSWERED_ELSEWHERE');
    // A device that was silent for long does not prevent its user from joining other calls.
    const { call } = await historyOf(ana, withBob).then(([latest]) => ({ call: latest }));
    await silence(call.parties[1].id, 61);
    expect(await start(carol, withCarol)).toMatchObject({ call: { state: 'RINGING' } });
  });

  itOnce('begin each stream, are up to date at CAUGHT_UP, and are delivered over SSE as well', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const [direct, group] = [await openDirect(ana, bob), await createGroup(carol, [bob])];
    const over = await start(ana, direct);
    await leave(ana, over.call.id, over.partyId);
    const [live, inGroup] = [await start(ana, direct), await start(carol, group)];
    const stream = await followCalls(bob, other.url);
    const ids = stream.events.map(({ type, call }) => [type, call?.id]);
    expect(ids.slice(0, -1).sort()).toEqual(
      [
        ['CHANGED', live.call.id],
        ['CHANGED', inGroup.call.id],
      ].sort(),
    );
    expect(ids.at(-1)).toEqual(['CAUGHT_UP', undefined]);
    const results: Json[] = [];
    const sse = await openSse(other.url, bob.token, {}, (result) => results.push(result.data.calls), CALLS);
    await eventually('it has caught up', () => results.some(({ type }) => type === 'CAUGHT_UP'));
    const { call } = await accept(bob, live.call.id);
    await eventually('the answer is delivered', () =>
      results.some((event) => event.call?.id === call.id && event.call.state === 'ACTIVE'),
    );
    sse.cancel();
    await sse.ended;
  });

  itOnce('of groups are joined by up to the maximum of devices, and end when all have left', async () => {
    const people = await registerAll(node.url, 'ana', 'bob', 'carol', 'dora');
    const [ana, bob, carol, dora] = people;
    const group = await createGroup(ana, [bob, carol, dora]);
    const begun = await start(ana, group);
    const { id } = begun.call;
    const second = await signInAgain(dora, other.url);
    const [ofDora, ofBob] = [await followCalls(second, other.url), await followCalls(bob, node.url)];
    // A decline stops the other devices of the same user, and nobody else.
    expect((await decline(dora, id)).call.state).toBe('RINGING');
    expect(await ofDora.until(({ type }) => type === 'DECLINED')).toMatchObject({ call: { id, state: 'RINGING' } });
    const late = await followCalls(dora, node.url);
    expect(late.events.map(({ type }) => type)).toEqual(['CHANGED', 'DECLINED', 'CAUGHT_UP']);
    const [bobs, carols] = [await accept(bob.at(other.url), id), await start(carol, group, 'VIDEO')];
    expect(carols.call).toMatchObject({ id, kind: 'VOICE', state: 'ACTIVE' });
    expect(await accept(dora, id)).toBe('FORBIDDEN callPartiesMax');
    expect(ofBob.events.map(({ type }) => type)).not.toContain('DECLINED');
    await leave(bob, id, bobs.partyId);
    const doras = await accept(dora, id);
    expect(doras.call.parties.filter(({ state }: Json) => state === 'CONNECTED')).toHaveLength(3);
    for (const [person, { partyId }] of [
      [ana, begun],
      [carol, carols],
    ] as const)
      expect((await leave(person, id, partyId)).call.state).toBe('ACTIVE');
    expect((await leave(dora, id, doras.partyId)).call).toMatchObject({ state: 'ENDED', endReason: 'HUNG_UP' });
    expect(await callMessagesOf(ana, group)).toMatchObject([{ newValue: 'HUNG_UP', subjects: { length: 4 } }]);
    // When everybody declines, it ends.
    const refused = await start(ana, group);
    for (const person of [bob, carol, dora, dora]) await decline(person, refused.call.id);
    expect(await untilEnded(ofBob, refused.call.id)).toMatchObject({ endReason: 'DECLINED' });
  });

  itOnce('show what each device sends', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const { call, partyId } = await start(ana, await openDirect(ana, bob));
    const stream = await followCalls(bob, other.url);
    const mine = { callId: call.id, partyId };
    const { call: shown } = await setMedia(ana, { ...mine, microphoneOn: false, screenOn: true });
    expect(shown.parties).toMatchObject([{ microphoneOn: false, cameraOn: false, screenOn: true }]);
    expect((await stream.until((event) => event.call?.parties[0].screenOn)).call).toEqual(shown);
    const events = stream.events.length;
    expect(await setMedia(ana, { ...mine, microphoneOn: false })).toEqual({ call: shown });
    const again = await setMedia(ana, { ...mine, cameraOn: true });
    await stream.until((event) => event.call?.parties[0].cameraOn);
    expect(stream.events.slice(events).map((event) => event.call)).toEqual([again.call]);
    expect(await setMedia(bob, { ...mine, cameraOn: false })).toBe('NOT_FOUND input.partyId');
    const second = await signInAgain(ana, node.url);
    expect(await setMedia(second, { ...mine, cameraOn: false })).toBe('NOT_FOUND input.partyId');
  });

  itOnce('are possible for members only, and in conversations that are not too large', async () => {
    const [ana, bob, carol, dora, eve, finn] = (await Promise.all(
      ['ana', 'bob', 'carol', 'dora', 'eve', 'finn'].map((name) => register(node.url, name)),
    )) as [Person, Person, Person, Person, Person, Person];
    const direct = await openDirect(ana, bob);
    const { call, partyId } = await start(ana, direct);
    for (const result of [
      await accept(carol, call.id),
      await decline(carol, call.id),
      await leave(carol, call.id, partyId),
    ])
      expect(result).toBe('NOT_FOUND input.callId');
    expect(await leave(bob, call.id, partyId)).toBe('NOT_FOUND input.partyId');
    expect((await carol.ask(`query ($id: ID!) { node(id: $id) { id } }`, { id: call.id })).node).toBeNull();
    expect(await start(carol, direct)).toBe('NOT_FOUND input.conversationId');
    const open = await createGroup(ana, [], { visibility: 'PUBLIC' });
    expect(await start(carol, open)).toBe('FORBIDDEN NOT_A_MEMBER');
    const { errors } = await carol.request(
      'query ($id: ID!) { conversation(id: $id) { activeCall { id } calls { nodes { id } } } }',
      { id: open },
    );
    expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
    const large = await createGroup(ana, [bob, carol, dora, eve, finn]);
    expect(await start(ana, large)).toBe('FORBIDDEN callMembersMax');
    const { data } = await bob
      .ask('{ viewer { calls(first: 10) { nodes { id } pageInfo { hasNextPage } } } }')
      .then((viewer) => ({ data: viewer }));
    expect(data.viewer.calls).toEqual({ nodes: [{ id: call.id }], pageInfo: { hasNextPage: false } });
    expect((await carol.ask('{ viewer { calls { nodes { id } } } }')).viewer.calls.nodes).toEqual([]);
  });

  it('end when one user blocks the other, as if they had hung up', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const stream = await followCalls(ana, other.url);
    const expected: [Person, boolean, string][] = [
      [bob, false, 'DECLINED'],
      [ana, false, 'CANCELLED'],
      [bob, true, 'HUNG_UP'],
    ];
    for (const [blocker, isAnswered, reason] of expected) {
      const { call } = await start(ana, direct);
      if (isAnswered) await accept(bob, call.id);
      const blocked = blocker === ana ? bob : ana;
      await attempt(blocker, 'blockUser', { userId: blocked.id });
      // At once: it is part of the same transaction.
      expect((await historyOf(ana, direct))[0]).toMatchObject({ id: call.id, state: 'ENDED', endReason: reason });
      expect(await untilEnded(stream, call.id)).toMatchObject({ endReason: reason });
      expect(await start(blocked, direct)).toBe('FORBIDDEN RECIPIENT_UNREACHABLE');
      await attempt(blocker, 'unblockUser', { userId: blocked.id });
    }
  });

  it('are left by members who are removed from the group', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const group = await createGroup(ana, [bob, carol]);
    const { call } = await start(ana, group);
    await accept(bob, call.id);
    const [ofBob, ofCarol] = [await followCalls(bob, other.url), await followCalls(carol, other.url)];
    await ana.ask(REMOVE_MEMBER, { input: { conversationId: group, userId: bob.id } });
    for (const stream of [ofBob, ofCarol]) {
      const event = await stream.until((each) => each.call?.parties[1]?.state === 'LEFT');
      expect(event.call).toMatchObject({
        id: call.id,
        state: 'ACTIVE',
        parties: [{ state: 'CONNECTED' }, { state: 'LEFT' }],
      });
    }
    expect(await accept(bob, call.id)).toBe('NOT_FOUND input.callId');
    await attempt(ana, 'setMemberRole', { conversationId: group, userId: carol.id, role: 'OWNER' });
    await attempt(ana, 'leaveConversation', { conversationId: group });
    expect(await untilEnded(ofCarol, call.id)).toMatchObject({ endReason: 'FAILED' });
    expect(ofBob.events.at(-1)?.call.state).toBe('ACTIVE');
  });

  const departures: Record<string, (person: Person, admin: Person) => Promise<unknown>> = {
    'signs out': (person) => attempt(person, 'logout', {}),
    'is suspended': (person, admin) => attempt(admin, 'suspendUser', { userId: person.id }),
    'deletes the account': (person) => attempt(person, 'deleteAccount', { password: person.password }),
  };
  it.each(Object.entries(departures))('end when a participant %s', async (_title, depart) => {
    const [ana, bob, admin] = await registerAll(node.url, 'ana', 'bob', 'admin');
    await node.deps.database.transaction((tx) =>
      giveServiceRole(tx, undefined, { userId: rowId(admin.id), role: 'ADMIN' }, async () => {}),
    );
    const direct = await openDirect(ana, bob);
    const { call } = await start(ana, direct);
    const { partyId } = await accept(bob, call.id);
    const stream = await followCalls(ana, other.url);
    await followCalls(bob, node.url, partyId);
    await depart(bob, admin);
    expect(await untilEnded(stream, call.id)).toMatchObject({
      endReason: 'FAILED',
      parties: [{ state: 'LEFT' }, { state: 'LEFT' }],
    });
    expect(await callMessagesOf(ana, direct)).toHaveLength(1);
  });

  it('stop ringing for a user who is suspended', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const { call } = await start(ana, await openDirect(ana, bob));
    const stream = await followCalls(ana, other.url);
    await node.deps.database.db.user.update({ where: { id: rowId(bob.id) }, data: { suspendedAt: new Date() } });
    expect(await untilEnded(stream, call.id)).toMatchObject({ endReason: 'MISSED' });
  });

  itOnce('show devices whose streams have ended as RECONNECTING, and end when all are lost', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const { call, partyId } = await start(ana, await openDirect(ana, bob));
    const answered = await accept(bob, call.id);
    const watching = await followCalls(ana, node.url, partyId);
    const own = await followCalls(bob, other.url, answered.partyId);
    own.cancel();
    await silence(answered.partyId, 11);
    const stateOf = (event: Json, index: number) => event.call?.parties[index]?.state;
    await watching.until((event) => stateOf(event, 1) === 'RECONNECTING');
    const count = watching.events.length;
    const back = await followCalls(bob, other.url, answered.partyId);
    await eventually('it is back', () => stateOf(watching.events.at(-1), 1) === 'CONNECTED');
    expect(watching.events.slice(count).map((event) => event.call.state)).toEqual(['ACTIVE']);
    // As long as one of them is connected, the other one is not treated as lost: its audio and video may still arrive.
    back.cancel();
    await silence(answered.partyId, 61);
    await eventually('it is silent', () => stateOf(watching.events.at(-1), 1) === 'RECONNECTING');
    watching.cancel();
    const observer = await followCalls(ana, node.url);
    await silence(partyId, 61);
    expect(await untilEnded(observer, call.id)).toMatchObject({ endReason: 'LOST' });
  });

  itOnce('remove a silent device from the call of a group', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const group = await createGroup(ana, [bob]);
    const { call, partyId } = await start(ana, group);
    const watching = await followCalls(ana, node.url, partyId);
    const answered = await accept(bob, call.id);
    await silence(answered.partyId, 61);
    await watching.until((event) => event.call?.parties[1]?.state === 'LEFT');
    expect(watching.events.at(-1)?.call.state).toBe('ACTIVE');
  });

  it('refuse the stream of a device of another session', async () => {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const { partyId } = await start(ana, await openDirect(ana, bob));
    for (const person of [bob, await signInAgain(ana, node.url)])
      await expect(followCalls(person, node.url, partyId)).rejects.toThrow('NOT_FOUND');
    await followCalls(ana, other.url, partyId);
  });
});

describe.each(modes)('signals in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode, SETTINGS);
  });

  /** An answered call of two users, with their devices. */
  async function makeCall() {
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    const { call, partyId: from } = await start(ana, direct);
    const { partyId: to } = await accept(bob.at(other.url), call.id);
    return { ana, bob: bob.at(other.url), direct, id: call.id as string, from: from as string, to: to as string };
  }
  const waiting = (id: string) => node.deps.database.db.callSignal.count({ where: { callId: rowId(id) } });

  it('are delivered in order, from before the stream began until they are acknowledged', async () => {
    const { ana, bob, id, from, to } = await makeCall();
    // Candidates can precede the description, and both the stream.
    await signal(ana, id, [from, to], ['candidate', 'description']);
    const stream = await followCalls(bob, other.url, to);
    expect(stream.events.map(({ type }) => type)).toEqual(['CHANGED', 'SIGNAL', 'SIGNAL', 'CAUGHT_UP']);
    expect(stream.events[1].signal).toEqual({
      callId: id,
      seq: 1,
      fromPartyId: from,
      toPartyId: to,
      payload: 'candidate',
    });
    const texts = Array.from({ length: 40 }, (_, index) => `candidate ${index}`);
    for (let at = 0; at < texts.length; at += 4) {
      await signal(at % 8 ? ana : ana.at(other.url), id, [from, to], texts.slice(at, at + 4));
    }
    await stream.until((event) => event.signal?.payload === texts.at(-1));
    expect(payloadsOf(stream)).toEqual(['candidate', 'description', ...texts]);
    expect(stream.events.flatMap((event) => event.signal?.seq ?? [])).toEqual(
      texts.concat('', '').map((_, at) => at + 1),
    );
    // A new stream begins with what was not acknowledged.
    stream.cancel();
    expect(await signal(bob, id, [to, from], ['answer'], 40)).toMatchObject({ call: { id, state: 'ACTIVE' } });
    const again = await followCalls(bob, node.url, to);
    expect(payloadsOf(again)).toEqual(texts.slice(-2));
    await signal(bob, id, [to, from], [], 42);
    expect(payloadsOf(await followCalls(bob, node.url, to))).toEqual([]);
    expect(payloadsOf(await followCalls(ana, other.url, from))).toEqual(['answer']);
  });

  itOnce('are delivered in one order when several devices send at the same time, also if they are long', async () => {
    const [ana, bob, carol] = await registerAll(node.url, 'ana', 'bob', 'carol');
    const group = await createGroup(ana, [bob, carol]);
    const { call, partyId: to } = await start(ana, group);
    const senders = await Promise.all(
      [bob, carol.at(other.url)].map(async (person) => ({ person, from: (await accept(person, call.id)).partyId })),
    );
    const long = 'x'.repeat(65_000);
    const stream = await followCalls(ana, other.url, to);
    await Promise.all(
      senders.map(async ({ person, from }, index) => {
        for (let n = 0; n < 8; n += 1)
          await signal(person, call.id, [from, to], [`${index} ${n} ${n === 4 ? long : ''}`, `${index} ${n}b`]);
      }),
    );
    await eventually('all are delivered', () => payloadsOf(stream).length === 32);
    expect(stream.events.flatMap((event) => event.signal?.seq ?? [])).toEqual(
      Array.from({ length: 32 }, (_, at) => at + 1),
    );
    for (const [index] of senders.entries()) {
      const own = payloadsOf(stream).flatMap((payload) =>
        payload.startsWith(`${index} `) ? [payload.slice(0, 4).trim()] : [],
      );
      expect(own).toEqual([0, 1, 2, 3, 4, 5, 6, 7].flatMap((n) => [`${index} ${n}`, `${index} ${n}b`]));
    }
    // What waits is the same, and in the same order.
    expect(payloadsOf(await followCalls(ana, node.url, to))).toEqual(payloadsOf(stream));
  });

  itOnce('reach their device only', async () => {
    const { ana, bob, id, from, to } = await makeCall();
    const [general, own] = [await followCalls(bob, other.url), await followCalls(ana, node.url, from)];
    const stream = await followCalls(bob, node.url, to);
    await signal(ana, id, [from, to], ['for bob']);
    await stream.until(({ type }) => type === 'SIGNAL');
    await leave(ana, id, from);
    for (const each of [general, own]) {
      await untilEnded(each, id);
      expect(payloadsOf(each)).toEqual([]);
    }
    // The stream of a device that has left does not receive those of the device with which its user joins again.
    const begun = await start(ana, await createGroup(ana, [bob]));
    const first = await accept(bob, begun.call.id);
    const left = await followCalls(bob, other.url, first.partyId);
    await leave(bob, begun.call.id, first.partyId);
    const second = await accept(bob, begun.call.id);
    const joined = await followCalls(bob, other.url, second.partyId);
    await signal(ana, begun.call.id, [begun.partyId, second.partyId], ['for the second device']);
    await joined.until(({ type }) => type === 'SIGNAL');
    await leave(bob, begun.call.id, second.partyId);
    await leave(ana, begun.call.id, begun.partyId);
    await untilEnded(left, begun.call.id);
    expect(payloadsOf(left)).toEqual([]);
    expect(payloadsOf(joined)).toEqual(['for the second device']);
  });

  itOnce('load the call only if more than its id is selected', async () => {
    const { ana, id, from, to } = await makeCall();
    const input = { callId: id, fromPartyId: from, toPartyId: to, payloads: ['x'] };
    const loadsWith = async (fields: string, fragment = '') => {
      const query = `mutation ($input: SendCallSignalsInput!) { sendCallSignals(input: $input) { ${fields} } } ${fragment}`;
      let response: Json;
      const statements = await statementsOf(node, async () => {
        response = (await ask(node.url, query, { input }, ana.token))['sendCallSignals'];
      });
      return [
        response,
        statements.some((text) => text.includes('call_parties') && !text.endsWith('FOR NO KEY UPDATE')),
      ];
    };
    // Workers may load the call at the same time.
    const untilNotLoaded = (response: Json, ...selection: Parameters<typeof loadsWith>) =>
      eventually(`${selection[0]} is returned without the call`, async () => {
        const [found, isLoaded] = await loadsWith(...selection);
        expect(found).toEqual(response);
        return !isLoaded;
      });
    const fragment = (fields: string) => `fragment P on SendCallSignalsPayload { call { ${fields} } }`;
    await untilNotLoaded({ call: { __typename: 'Call', id } }, 'call { __typename id }');
    await untilNotLoaded({ call: { id } }, '...P', fragment('... on Call { id }'));
    expect(await loadsWith('call { id state }')).toEqual([{ call: { id, state: 'ACTIVE' } }, true]);
    expect(await loadsWith('call { id } ...P', fragment('kind'))).toEqual([{ call: { id, kind: 'VOICE' } }, true]);
  });

  itOnce('are sent by devices in the call only', async () => {
    const { ana, bob, id, from, to } = await makeCall();
    const [carol] = await registerAll(node.url, 'carol');
    const second = await signInAgain(ana, node.url);
    for (const person of [bob, carol, second]) {
      expect(await signal(person, id, [from, to], ['x'])).toBe('NOT_FOUND input.fromPartyId');
    }
    const another = await makeCall();
    expect(await signal(ana, another.id, [from, to], ['x'])).toBe('NOT_FOUND input.fromPartyId');
    // Neither to a device in another call, nor to one that has left.
    const before = [await waiting(id), await waiting(another.id)];
    expect(await signal(ana, id, [from, another.to], ['x'])).toMatchObject({ call: { id } });
    await leave(bob, id, to);
    expect(await signal(ana, id, [from, to], ['x'])).toMatchObject({ call: { state: 'ENDED' } });
    expect([await waiting(id), await waiting(another.id)]).toEqual(before);
    // In a group, the call continues.
    const begun = await start(ana, await createGroup(ana, [bob]));
    const left = await accept(bob, begun.call.id);
    await leave(bob, begun.call.id, left.partyId);
    const sent = await signal(ana, begun.call.id, [begun.partyId, left.partyId], ['x']);
    expect(sent).toMatchObject({ call: { state: 'ACTIVE' } });
    expect(await waiting(begun.call.id)).toBe(0);
  });

  itOnce('are limited in length and number', async () => {
    const { ana, bob, id, from, to } = await makeCall();
    expect(await signal(ana, id, [from, to], ['ok', 'ü'.repeat(35_001)])).toBe('BAD_USER_INPUT callSignalMaxBytes');
    expect(await signal(ana, id, [from, to], Array(51).fill('x'))).toBe('BAD_USER_INPUT callSignalsMax');
    expect(await signal(ana, id, [from, to], [], -1)).toBe('BAD_USER_INPUT input.acknowledgedSeq');
    await signal(ana, id, [from, to], Array(40).fill('x'));
    expect(await signal(ana, id, [from, to], Array(11).fill('x'))).toBe('FORBIDDEN callSignalsMax');
    await signal(bob, id, [to, from], [], 1);
    expect(await signal(ana, id, [from, to], Array(11).fill('x'))).toMatchObject({ call: { id } });
  });

  itOnce('are deleted one minute after the end of the call', async () => {
    const { ana, id, from, to } = await makeCall();
    await signal(ana, id, [from, to], ['x', 'y']);
    await leave(ana, id, from);
    const { db, sql } = node.deps.database;
    await deleteSignals(sql, 60_000);
    expect(await waiting(id)).toBe(2);
    await db.$executeRaw`UPDATE calls SET ended_at = ended_at - interval '61 seconds' WHERE id = ${rowId(id)}::uuid`;
    await deleteSignals(sql, 60_000);
    expect(await waiting(id)).toBe(0);
  });
});

describe.skipIf(!servicesFound)('calls of which no wake-up arrives', () => {
  it('are delivered by the sweep, with their signals', async () => {
    const { node, deaf } = await startWithLostWakeUps();
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    const stream = await followCalls(bob, deaf.url);
    const { call, partyId: from } = await start(ana, await openDirect(ana, bob));
    await stream.until((event) => event.call?.id === call.id);
    const { partyId: to } = await accept(bob, call.id);
    const own = await followCalls(bob, deaf.url, to);
    for (const text of ['a', 'b', 'c']) await signal(ana, call.id, [from, to], [text]);
    await own.until(({ signal: sent }) => sent?.payload === 'c');
    expect(payloadsOf(own)).toEqual(['a', 'b', 'c']);
    await leave(ana, call.id, from);
    expect(await untilEnded(stream, call.id)).toMatchObject({ endReason: 'HUNG_UP' });
  });
});

describe('calls that are disabled', () => {
  it('cannot be started', async () => {
    const node = await sharedNode(anyMode, { CALLS: 'off' });
    const [ana, bob] = await registerAll(node.url, 'ana', 'bob');
    expect(await start(ana, await openDirect(ana, bob))).toBe('FORBIDDEN');
    const { serverInfo } = await ana.ask('{ serverInfo { features } }');
    expect(serverInfo.features).not.toContain('calls');
  });
});
