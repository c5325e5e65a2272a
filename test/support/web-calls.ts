import type { Browser, Page } from 'playwright-core';
import type { VisitOptions } from './browser.js';
import { eventually, type Person } from './client.js';
import { openDirect, send } from './talk.js';
import { openApp } from './web-app.js';

/** Lets Chromium use a simulated microphone and camera, and connect pages on one machine. */
export const fakeDevices = [
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
  '--disable-renderer-backgrounding',
];

/**
 * Keeps the connections of a page and the tracks that it has opened, and counts the tones that it plays. With `delayMs`, the browser
 * reports this time to the other device and back.
 */
const instrument = `
  globalThis.connections = [];
  globalThis.tracks = [];
  globalThis.screens = [];
  globalThis.tones = 0;
  globalThis.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(...args) {
      super(...args);
      connections.push(this);
    }
    async getStats(...args) {
      const report = await super.getStats(...args);
      if (globalThis.delayMs === undefined) return report;
      const delayed = [...report].map(([id, each]) => [id, { ...each, currentRoundTripTime: delayMs / 1_000, roundTripTime: delayMs / 1_000 }]);
      return new Map(delayed);
    }
  };
  globalThis.AudioContext = class extends AudioContext {
    createOscillator() {
      tones += 1;
      return super.createOscillator();
    }
  };
  const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (wanted) => {
    if (globalThis.isDenied) throw new DOMException('denied', 'NotAllowedError');
    const stream = await open(wanted);
    tracks.push(...stream.getTracks());
    return stream;
  };
  const share = navigator.mediaDevices.getDisplayMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getDisplayMedia = async (wanted) => {
    const stream = await share(wanted);
    screens.push(...stream.getTracks());
    return stream;
  };
  globalThis.statistics = async () => {
    const live = connections.filter(({ connectionState }) => connectionState !== 'closed');
    const reports = await Promise.all(live.map((each) => each.getStats()));
    const all = reports.flatMap((report) => [...report.values()]);
    const incoming = all.filter(({ type }) => type === 'inbound-rtp');
    const sum = (kind, field) => incoming.filter((each) => each.kind === kind).reduce((total, each) => total + (each[field] ?? 0), 0);
    const byId = new Map(all.map((each) => [each.id, each]));
    // A connection can have several nominated pairs, of which it uses one.
    const pairs = all.flatMap(({ type, selectedCandidatePairId }) => (type === 'transport' && byId.get(selectedCandidatePairId)) || []);
    return {
      frames: sum('video', 'framesDecoded'),
      audioPackets: sum('audio', 'packetsReceived'),
      audioSources: incoming.filter(({ kind, packetsReceived }) => kind === 'audio' && packetsReceived > 0).length,
      candidates: pairs.map((pair) => byId.get(pair.localCandidateId)?.candidateType),
      states: connections.map((each) => [each.connectionState, each.iceConnectionState, each.signalingState]),
      sent: all.filter(({ type }) => type === 'outbound-rtp').map(({ kind, packetsSent }) => [kind, packetsSent]),
      generations: live.map((each) => /a=ice-ufrag:(\\S+)/.exec(each.localDescription?.sdp ?? '')?.[1]),
    };
  };`;

interface Statistics {
  /** Of the pictures of all others. */
  frames: number;
  audioPackets: number;
  /** The number of the others whose audio arrives. */
  audioSources: number;
  /** The kinds of the addresses of this side. */
  candidates: string[];
  /** The name of the ICE generation of each connection. */
  generations: string[];
}

export const statisticsOf = (page: Page) => page.evaluate<Statistics>('statistics()');
export const tonesOf = (page: Page) => page.evaluate<number>('tones');
/** Whether the page has a microphone or a camera in use. */
export const usesDevices = (page: Page) =>
  page.evaluate<boolean>('tracks.some(({ readyState }) => readyState === "live")');

/** Opens the app as a user who can be called. */
export async function openForCalls(
  browser: Browser,
  url: string,
  person: Person,
  conversationId?: string,
  options: VisitOptions = {},
) {
  const visited = await openApp(browser, url, person, conversationId, {
    ...options,
    prepare: (context) => context.addInitScript(instrument),
  });
  return visited;
}

/** A direct conversation with one message. */
export async function meet(ada: Person, bob: Person): Promise<string> {
  const id = await openDirect(ada, bob);
  await send(bob, id, 'Hello');
  return id;
}

/** The dialog about a call that rings. */
export const incoming = (page: Page) => page.getByRole('alertdialog');
/** The call of the page, in full. */
export const callScreen = (page: Page) => page.getByRole('dialog', { name: /^Call: / });

/** Waits until a page decodes the video of another user. */
export async function untilDecoding(page: Page, more = 5): Promise<void> {
  const { frames } = await statisticsOf(page);
  let last: unknown;
  await eventually('pictures are decoded', async () => {
    const statistics = await statisticsOf(page);
    last = statistics;
    return statistics.frames >= frames + more;
  }).catch((cause) => {
    throw new Error(`no pictures are decoded: ${JSON.stringify(last)}`, { cause });
  });
}

/** Calls with video, and answers. Both pages show the same conversation. */
export async function talk(caller: Page, callee: Page): Promise<void> {
  await caller.getByRole('button', { name: 'Video call' }).click();
  await incoming(callee).getByRole('button', { name: 'Answer with video' }).click();
  await Promise.all([untilDecoding(caller), untilDecoding(callee)]);
}
