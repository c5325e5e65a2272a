import { beforeAll, describe, expect, it } from 'vitest';
import {
  accept,
  callMessagesOf,
  followCalls,
  historyOf,
  leave,
  payloadsOf,
  signal,
  start,
  untilEnded,
} from '../support/calls.js';
import { type Json, type Listening, type Person, register } from '../support/client.js';
import { type Fleet, figure, form, makeFleet, type NodeProcess, ownServers, within } from '../support/fleet.js';
import { serversLacking } from '../support/servers.js';
import { openDirect } from '../support/talk.js';

describe.skipIf(serversLacking !== undefined)('nodes that crash during calls', () => {
  let fleet: Fleet;
  let nodes: [NodeProcess, NodeProcess];
  beforeAll(async () => {
    fleet = await makeFleet(await ownServers(), {
      SYSTEM_MESSAGES: 'on',
      CALL_RING_TIME: '8s',
      CALL_RECONNECTING_AFTER: '6s',
      CALL_LOST_AFTER: '8s',
    });
    nodes = [await fleet.add(), await fleet.add()];
  });

  interface Scene {
    ana: Person;
    bob: Person;
    direct: string;
  }
  async function makeScene(): Promise<Scene> {
    const [ana, bob] = [await register(nodes[0].url, 'ana'), await register(nodes[1].url, 'bob')];
    return { ana, bob, direct: await openDirect(ana, bob) };
  }
  /** The call has one end, one entry in the history and one system message. */
  async function expectOneEnd({ bob, direct }: Scene, call: Json): Promise<void> {
    expect(await historyOf(bob, direct)).toEqual([call]);
    expect(await callMessagesOf(bob, direct)).toMatchObject([{ newValue: call.endReason, call: { id: call.id } }]);
  }
  const stateOf = ({ events }: Listening, index: number) =>
    events.findLast(({ call }) => call)?.call.parties[index]?.state;

  it('let a call be answered at another node, with all signals', { timeout: form(120_000, 240_000) }, async () => {
    const [a, b] = nodes;
    const scene = await makeScene();
    const { ana, bob } = scene;
    const { call, partyId: from } = await start(ana, scene.direct);
    const ofBob = await followCalls(bob, b.url);
    expect(ofBob.events[0].call.id).toBe(call.id);
    await a.kill();
    const { partyId: to } = await accept(bob, call.id);
    expect(to).toBeTypeOf('string');
    // Her device comes back at the other node, and receives what was sent meanwhile.
    await signal(bob, call.id, [to, from], ['offer', 'candidate']);
    const [hers, his] = [await followCalls(ana, b.url, from), await followCalls(bob, b.url, to)];
    expect(payloadsOf(hers)).toEqual(['offer', 'candidate']);
    await a.start();
    await signal(ana.at(a.url), call.id, [from, to], ['answer'], 2);
    await his.until((event) => event.signal?.payload === 'answer');
    await leave(ana.at(a.url), call.id, from);
    await expectOneEnd(scene, await untilEnded(his, call.id));
  });

  it('lose no signal and end no call while devices use the other node', {
    timeout: form(120_000, 600_000),
  }, async () => {
    const scene = await makeScene();
    const { ana, bob } = scene;
    const { call, partyId: from } = await start(ana, scene.direct);
    const { partyId: to } = await accept(bob, call.id);
    const received: string[] = [];
    let sent = 0;
    const sendFive = async (url: string) => {
      for (let each = 0; each < 5; each += 1) {
        sent += 1;
        await signal(ana.at(url), call.id, [from, to], [String(sent)]);
      }
    };
    for (let round = 0; round < form(2, 20); round += 1) {
      const [here, there] = round % 2 ? [nodes[1], nodes[0]] : [nodes[0], nodes[1]];
      const [hers, his] = [await followCalls(ana, here.url, from), await followCalls(bob, here.url, to)];
      await within(
        10_000,
        'both are connected',
        () => stateOf(his, 0) === 'CONNECTED' && stateOf(hers, 1) === 'CONNECTED',
      );
      await sendFive(there.url);
      await here.kill();
      await sendFive(there.url);
      const again = await followCalls(bob, there.url, to);
      await within(10_000, 'all signals have arrived', () => payloadsOf(again).at(-1) === `${sent}`);
      received.push(...payloadsOf(again));
      const { seq } = again.events.findLast((event) => event.signal).signal;
      await signal(bob.at(there.url), call.id, [to, from], [], seq);
      const back = await followCalls(ana, there.url, from);
      expect(back.events[0].call.state).toBe('ACTIVE');
      await here.start();
    }
    expect(received).toEqual(Array.from({ length: sent }, (_, index) => `${index + 1}`));
    await expectOneEnd(scene, (await leave(bob, call.id, to)).call);
  });

  it('end a call that nobody answered while no node was running', { timeout: form(120_000, 240_000) }, async () => {
    const scene = await makeScene();
    const { call } = await start(scene.ana, scene.direct);
    await Promise.all(nodes.map((node) => node.kill()));
    await within(60_000, 'it has rung long enough', () => Date.now() > Date.parse(call.ringUntil));
    await Promise.all(nodes.map((node) => node.start()));
    const began = performance.now();
    await within(10_000, 'it was missed', async () => (await historyOf(scene.bob, scene.direct))[0].state === 'ENDED');
    figure('no node while a call rings', { missedAfterMs: Math.round(performance.now() - began) });
    const [ended] = await historyOf(scene.bob, scene.direct);
    expect(ended.endReason).toBe('MISSED');
    await expectOneEnd(scene, ended);
  });

  it('keep a call whose devices come back when a node runs again, and end one that has none', {
    timeout: form(180_000, 240_000),
  }, async () => {
    const scene = await makeScene();
    const { ana, bob, direct } = scene;
    const { call, partyId: from } = await start(ana, direct);
    const { partyId: to } = await accept(bob, call.id);
    await Promise.all(nodes.map((node) => node.kill()));
    const since = Date.now();
    await within(30_000, 'they were silent for longer than the limit', () => Date.now() - since > 9_000);
    await Promise.all(nodes.map((node) => node.start()));
    const [hers, his] = [await followCalls(ana, nodes[0].url, from), await followCalls(bob, nodes[1].url, to)];
    expect(hers.events[0].call.state).toBe('ACTIVE');
    await within(
      10_000,
      'both are connected',
      () => stateOf(his, 0) === 'CONNECTED' && stateOf(hers, 1) === 'CONNECTED',
    );
    const observer = await followCalls(bob, nodes[0].url);
    hers.cancel();
    his.cancel();
    const began = performance.now();
    const ended = await untilEnded(observer, call.id);
    figure('all devices of a call are lost', { endedAfterMs: Math.round(performance.now() - began) });
    expect(ended.endReason).toBe('LOST');
    await expectOneEnd(scene, ended);
  });
});
