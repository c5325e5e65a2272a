import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createCall } from '../../../packages/client/src/call.js';
import { createPeer, type PeerSignal } from '../../../packages/client/src/call-peer.js';
import {
  createQualityControl,
  qualityOf,
  qualitySteps,
  sampleBetween,
} from '../../../packages/client/src/call-quality.js';
import { createSignals } from '../../../packages/client/src/call-signals.js';
import { type Call, callsOf } from '../../../packages/client/src/calls.js';
import { type Parley, ParleyError } from '../../../packages/client/src/index.js';
import type { RunningNode } from '../../../src/server/start.js';
import { eventually, type Person, registerAll } from '../../support/client.js';
import { readToken } from '../../support/livekit.js';
import { anyMode, detailModes, sharedNode } from '../../support/place.js';
import { startProxy } from '../../support/proxy.js';
import { openAlone, openBrowser } from '../../support/tabs.js';
import { attempt, createGroup, openAnswered } from '../../support/talk.js';
import { describeCall, followCalls } from './calls.js';

describe('the quality of a call', () => {
  const good = { loss: 0, roundTripMs: 40, isLimited: false };
  const levelsAfter = (samples: object[], receivers = 1) => {
    const control = createQualityControl(receivers);
    return samples.map((sample) => qualitySteps.indexOf(control.next({ ...good, ...sample })));
  };
  const times = (count: number, sample: object = {}) => Array.from({ length: count }, () => sample);

  it('is lowered at once when packets are lost, down to the last level', () => {
    expect(levelsAfter(times(5, { loss: 0.2 }))).toEqual([1, 2, 3, 3, 3]);
  });

  it('is lowered when the browser is limited for some time, but not at the beginning', () => {
    expect(levelsAfter(times(6, { isLimited: true }))).toEqual([0, 0, 1, 1, 1, 2]);
    expect(levelsAfter([...times(2, { isLimited: true }), {}, ...times(2, { isLimited: true })])).toEqual([
      0, 0, 0, 0, 0,
    ]);
  });

  it('is raised by one level after five good measurements', () => {
    expect(levelsAfter([{ loss: 0.2 }, { loss: 0.2 }, ...times(10)])).toEqual([1, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 0]);
    expect(levelsAfter([{ loss: 0.2 }, ...times(4), { loss: 0.04 }, ...times(4)]).at(-1)).toBe(1);
  });

  it('begins lower if several devices receive the picture, and is not raised above that', () => {
    expect(levelsAfter(times(12), 2)).toEqual(times(12).map(() => 1));
    expect(levelsAfter(times(12), 3)).toEqual(times(12).map(() => 2));
  });

  it.each([
    [{ loss: 0.01, roundTripMs: 50 }, 'good'],
    [{ loss: 0.05, roundTripMs: 50 }, 'fair'],
    [{ loss: 0, roundTripMs: 500 }, 'fair'],
    [{ loss: 0.2, roundTripMs: undefined }, 'poor'],
    [{ loss: 0, roundTripMs: 900 }, 'poor'],
  ] as const)('%j is %s', (sample, expected) => {
    expect(qualityOf({ ...sample, isLimited: false })).toBe(expected);
  });

  it('counts what was lost between two measurements, in the worse direction', () => {
    const numbers = { packetsSent: 0, packetsReceived: 0, packetsLostThere: 0, packetsLostHere: 0 };
    const rest = { bytesSent: 0, bytesReceived: 0, framesDecoded: 0, framesPerSecond: 0, availableBitrate: undefined };
    const of = (more: object) => ({
      ...numbers,
      ...rest,
      roundTripMs: 20,
      isLimited: false,
      isRelayed: false,
      ...more,
    });
    const first = of({ packetsSent: 100, packetsLostThere: 50, packetsReceived: 90, packetsLostHere: 10 });
    const next = of({ packetsSent: 200, packetsLostThere: 60, packetsReceived: 170, packetsLostHere: 30 });
    expect(sampleBetween(first, next).loss).toBeCloseTo(0.2);
    expect(sampleBetween(undefined, first).loss).toBeCloseTo(0.5);
  });
});

describe('the signals of a call', () => {
  /** Two devices that exchange signals through a server whose requests can be made to fail. */
  function connect(failures: (string | undefined)[]) {
    const handled: number[] = [];
    const acknowledged: number[] = [];
    const stored: { seq: number; fromPartyId: string; payload: string }[] = [];
    const failed: unknown[] = [];
    const sender = createSignals({
      deliver: async (_, payloads) => {
        const failure = failures.shift();
        // The server may have stored them nevertheless.
        if (failure !== 'REFUSED')
          for (const payload of payloads) stored.push({ seq: stored.length + 1, fromPartyId: 'a', payload });
        if (failure !== undefined) throw new ParleyError(failure === 'REFUSED' ? 'NETWORK' : failure, 'failed');
      },
      receive: async () => {},
      onFailure: (error) => failed.push(error),
    });
    const receiver = createSignals({
      deliver: async (_, payloads, seq) => {
        expect(payloads).toEqual([]);
        acknowledged.push(seq ?? 0);
      },
      receive: async (_, signal) => void handled.push((signal as { n: number }).n),
      onFailure: (error) => failed.push(error),
    });
    return { sender, receiver, stored, handled, acknowledged, failed };
  }

  it('arrive once and in their order, although requests fail and are repeated', async () => {
    const { sender, receiver, stored, handled, acknowledged, failed } = connect(['NETWORK', 'REFUSED', 'UNAVAILABLE']);
    for (let n = 1; n <= 5; n += 1) sender.send('b', { n });
    // The first one alone, then all of them twice.
    await eventually('all have been sent again', () => stored.length === 11);
    // A stream delivers again what was not acknowledged.
    for (const signal of [...stored, ...stored]) receiver.onSignal(signal);
    await eventually('they are acknowledged', () => acknowledged.length > 0);
    expect(handled).toEqual([1, 2, 3, 4, 5]);
    expect(acknowledged).toEqual([stored.length]);
    expect(failed).toEqual([]);
  });

  it('end with an error that does not pass', async () => {
    const { sender, failed } = connect(['NOT_FOUND']);
    sender.send('b', { n: 1 });
    await eventually('it has failed', () => failed.length === 1);
  });

  it('that are not from this package are skipped', async () => {
    const { receiver, handled, acknowledged } = connect([]);
    for (const [index, payload] of ['no JSON', '7', '{"number":1,"n":1}'].entries()) {
      receiver.onSignal({ seq: index + 1, fromPartyId: 'a', payload });
    }
    await eventually('they are acknowledged', () => acknowledged.length === 1);
    expect([handled, acknowledged]).toEqual([[1], [3]]);
  });
});

describe('a connection to another device', () => {
  /** What a peer does with a connection of a browser. */
  class FakeConnection {
    static latest: FakeConnection;
    readonly added: string[] = [];
    remoteDescription: RTCSessionDescriptionInit | null = null;
    localDescription: RTCSessionDescriptionInit | null = null;
    signalingState = 'stable';
    connectionState = 'new';
    iceConnectionState = 'new';
    onnegotiationneeded: () => unknown = () => {};
    constructor() {
      FakeConnection.latest = this;
    }
    async setRemoteDescription(description: RTCSessionDescriptionInit) {
      this.remoteDescription = description;
      this.signalingState = description.type === 'offer' ? 'have-remote-offer' : 'stable';
    }
    async setLocalDescription() {
      const isAnswer = this.signalingState === 'have-remote-offer';
      this.localDescription = { type: isAnswer ? 'answer' : 'offer', sdp: 'a=ice-ufrag:own' };
      this.signalingState = isAnswer ? 'stable' : 'have-local-offer';
    }
    async addIceCandidate({ candidate = '' }: RTCIceCandidateInit) {
      if (!this.remoteDescription) throw new Error('there is no description');
      this.added.push(candidate);
    }
    getTransceivers = () => [];
    addTransceiver() {}
    getConfiguration = () => ({});
    setConfiguration() {}
    close() {}
  }

  const connect = (isPolite: boolean) => {
    vi.stubGlobal('RTCPeerConnection', FakeConnection);
    vi.stubGlobal('MediaStream', class {});
    const sent: PeerSignal[] = [];
    const peer = createPeer({
      isPolite,
      relayOnly: false,
      iceServers: async () => [],
      tracks: () => ({ microphone: null, camera: null, screen: null }),
      receivers: () => 1,
      send: (signal) => sent.push(signal),
      onChange: () => {},
    });
    onTestFinished(() => {
      peer.close();
      vi.unstubAllGlobals();
    });
    return { peer, sent, connection: FakeConnection.latest };
  };
  const description = (type: string, ufrag: string) => ({ description: { type, sdp: `a=ice-ufrag:${ufrag}\r\n` } });
  const candidate = (name: string, ufrag?: string) => ({
    candidates: [{ candidate: name, ...(ufrag !== undefined && { usernameFragment: ufrag }) }],
  });

  it('keeps candidates that arrive before the description', async () => {
    const { peer, sent, connection } = connect(true);
    await peer.receive(candidate('first', 'one'));
    await peer.receive(candidate('second'));
    expect(connection.added).toEqual([]);
    await peer.receive(description('offer', 'one'));
    expect(connection.added).toEqual(['first', 'second']);
    expect(sent).toEqual([{ description: { type: 'answer', sdp: 'a=ice-ufrag:own' } }]);
    await peer.receive(candidate('third', 'one'));
    expect(connection.added).toEqual(['first', 'second', 'third']);
  });

  it('drops candidates of an ICE generation that is over', async () => {
    const { peer, connection } = connect(true);
    await peer.receive(description('offer', 'old'));
    await peer.receive(description('offer', 'new'));
    for (const ufrag of ['old', 'new', 'old']) await peer.receive(candidate(`of the ${ufrag} one`, ufrag));
    expect(connection.added).toEqual(['of the new one']);
  });

  it('gives way to the offer of the other side, or ignores it with its candidates', async () => {
    for (const isPolite of [true, false]) {
      const { peer, sent, connection } = connect(isPolite);
      if (isPolite) await peer.receive(description('offer', 'before'));
      // The impolite side begins.
      await connection.onnegotiationneeded();
      expect(connection.signalingState).toBe('have-local-offer');
      await peer.receive(description('offer', 'theirs'));
      await peer.receive(candidate('of their offer', 'theirs'));
      expect(connection.added).toEqual(isPolite ? ['of their offer'] : []);
      expect(sent.at(-1)?.description?.type).toBe(isPolite ? 'answer' : 'offer');
      if (isPolite) continue;
      await peer.receive(description('answer', 'the other'));
      await peer.receive(candidate('of their answer', 'the other'));
      expect(connection.added).toEqual(['of their answer']);
    }
  });
});

describe('a call over an SFU', () => {
  it('has a token for this device, and reports what is on', async () => {
    const secret = 'the secret of the LiveKit server, long enough';
    const sfu = { CALL_SFU_URL: 'ws://127.0.0.1:1', CALL_SFU_KEY: 'key', CALL_SFU_SECRET: secret };
    const { url } = await sharedNode(anyMode, { ...sfu, CALL_PARTIES_MAX: '2' });
    const [ana, ben, carol] = await registerAll(url, 'ana', 'ben', 'carol');
    const group = await createGroup(ana, [ben, carol]);
    const parley = openAlone({ url });
    const calls = callsOf(parley);
    await parley.session.useTokens({ accessToken: ana.token, refreshToken: ana.refreshToken });
    const input = { conversationId: group, kind: 'VOICE', clientCallId: 'one' };
    const { partyId } = await attempt(ana, 'startCall', input, 'partyId');
    await eventually('the call is known', () => calls.live.value.length === 1);
    const [call] = calls.live.value as [Call];
    expect(call.sfu?.url).toBe('ws://127.0.0.1:1');
    await expect(calls.sfuAccess()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    let isStopped = false;
    const microphone = { stop: () => (isStopped = true) } as unknown as MediaStreamTrack;
    const handle = createCall({ transport: parley, call, partyId, tracks: { microphone }, onChange: () => {} });
    expect(isStopped).toBe(true);
    expect(handle.view()).toMatchObject({ state: 'ringing', microphoneOn: true, cameraOn: false });
    await attempt(ben, 'acceptCall', { callId: call.id }, 'partyId');
    await eventually('it is connected', () => handle.view().state === 'connected');
    expect(handle.view().others).toEqual([]);
    const access = await handle.sfuAccess();
    expect(access).toMatchObject({ url: call.sfu?.url, room: call.sfu?.room });
    expect(readToken(access.token, secret)).toMatchObject({ sub: partyId, video: { room: call.sfu?.room } });
    await handle.setMicrophone(false);
    await handle.setCamera(true);
    await eventually('the others know', () =>
      calls.live.value.some(({ parties: [own] }) => own?.microphoneOn === false && own.cameraOn),
    );
    await handle.leave();
    await expect(handle.sfuAccess()).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

// Connections between devices exist in browsers only: see test/web/calls.test.ts.
describe.each(detailModes)('the calls of the client in %s mode', (mode) => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await sharedNode(mode);
  });

  async function signIn(parley: Parley, person: Person) {
    const calls = callsOf(parley);
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    await eventually('it is live', () => parley.connection.value.status === 'live');
    return calls;
  }
  const key = () => crypto.randomUUID();
  const start = async (person: Person, conversationId: string): Promise<{ id: string; partyId: string }> => {
    const input = { conversationId, kind: 'VOICE', clientCallId: key() };
    const { call, partyId } = await attempt(person, 'startCall', input, 'partyId call { id }');
    return { id: call.id, partyId };
  };

  it('ring in all tabs, also in one that is opened later, until one of them declines', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openAnswered(ana, ben);
    const browser = openBrowser();
    const tabs = [browser.open({ url: node.url }), browser.open({ url: node.url })];
    await signIn(tabs[0] as Parley, ben);
    const asked: (Call | undefined)[] = [];
    followCalls(tabs[1] as Parley, { askAbout: (call) => asked.push(call), showCall: () => {} });
    const caller = await signIn(openAlone({ url: node.url }), ana);
    const { id: callId } = await start(ana, id);
    const ringing = (tab: Parley | undefined) => callsOf(tab as Parley).ringing.value.map((call) => call.id);
    await eventually('both ring', () => tabs.every((tab) => ringing(tab).join() === callId));
    tabs.push(browser.open({ url: node.url }));
    await eventually('the third one rings', () => ringing(tabs[2]).join() === callId);
    expect(caller.ringing.value).toEqual([]);
    expect(caller.live.value.map((call) => [call.id, call.state, call.conversationId])).toEqual([
      [callId, 'RINGING', id],
    ]);
    await callsOf(tabs[1] as Parley).decline(callId);
    await eventually('all stop', () => tabs.every((tab) => ringing(tab).length === 0));
    await eventually('it is over', () => caller.live.value.length === 0);
    expect(asked.map((call) => call?.id)).toEqual([undefined, callId, undefined]);
    const { calls, after } = await caller.history({ conversationId: id });
    expect(calls.map((call) => [call.id, call.endReason])).toEqual([[callId, 'DECLINED']]);
    expect(after).toBeUndefined();
    expect((await caller.history()).calls).toEqual(calls);
  });

  it('stop when the call was answered on another device, and when it ended while there was no connection', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openAnswered(ana, ben);
    const proxy = await startProxy(Number(new URL(node.url).port));
    const calls = await signIn(openAlone({ url: `http://127.0.0.1:${proxy.port}/graphql` }), ben);
    const first = await start(ana, id);
    await eventually('it rings', () => calls.ringing.value.length === 1);
    await attempt(ben, 'acceptCall', { callId: first.id, clientPartyId: key() }, 'partyId');
    await eventually('it stops', () => calls.ringing.value.length === 0);
    expect(calls.live.value.map(({ state }) => state)).toEqual(['ACTIVE']);
    await calls.leaveElsewhere(first.id);
    await eventually('it is over', () => calls.live.value.length === 0);
    const second = await start(ana, id);
    await eventually('it rings', () => calls.ringing.value.length === 1);
    // Nobody answers behind this port.
    proxy.pointTo(1);
    proxy.cut();
    await attempt(ana, 'leaveCall', { callId: second.id, partyId: second.partyId });
    proxy.pointTo(Number(new URL(node.url).port));
    await eventually('it stops', () => calls.ringing.value.length === 0 && calls.live.value.length === 0);
  });

  it('cannot be started without a microphone, and nobody is called', async () => {
    const [ana, ben] = await registerAll(node.url, 'ana', 'ben');
    const id = await openAnswered(ana, ben);
    const calls = await signIn(openAlone({ url: node.url }), ana);
    await expect(calls.start(id, 'VOICE')).rejects.toMatchObject({ source: 'microphone', reason: 'unsupported' });
    expect((await calls.history()).calls).toEqual([]);
  });
});

it('the texts of a page describe the state of a call', () => {
  const party = { user: { displayName: 'Ben' } };
  const view = { state: 'connected', others: [{ party }] };
  expect(describeCall(view as never)).toBe('Connected with Ben');
});
