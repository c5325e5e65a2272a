import { type ChosenDevices, type MediaError, type MediaSource, openTracks, toMediaError } from './call-devices.js';
import { createPeer, type Peer, type PeerSignal, type PeerView } from './call-peer.js';
import { createSignals } from './call-signals.js';
import type { TypedDocument } from './document.js';
import { isTemporary, ParleyError } from './errors.js';
import {
  CallSfuAccessDocument,
  CallsDocument,
  IceServersDocument,
  LeaveCallDocument,
  SendCallSignalsDocument,
  UpdateCallMediaDocument,
} from './generated/calls.js';
import type { CallFieldsFragment, CallsSubscription } from './generated/types.js';
import { pause, retryDelay } from './pause.js';
import type { Request } from './request.js';
import type { Sink } from './socket.js';

/** A call. */
export interface Call extends Omit<CallFieldsFragment, 'conversation'> {
  conversationId: string;
}

/** A device in a call. */
export type CallParty = Call['parties'][number];

export const toCall = ({ conversation, ...call }: CallFieldsFragment): Call => ({
  ...call,
  conversationId: conversation.id,
});

/** Another device in the call, and the connection to it. */
export interface OtherParty extends PeerView {
  party: CallParty;
}

/** The call of this device. */
export interface CallView {
  call: Call;
  /** This device in the call. */
  partyId: string;
  /**
   * - `ringing`: nobody has answered yet.
   * - `connecting`: it is answered, and there is no connection to any other device yet.
   * - `connected`: there is a connection to at least one other device. With `call.sfu`, it is answered.
   * - `reconnecting`: there is none any more, and the connections are being restored.
   * - `ended`: it is over, for the reason of `call.endReason`, or for this device.
   */
  state: 'ringing' | 'connecting' | 'connected' | 'reconnecting' | 'ended';
  /** When it was answered, on the clock of this device; undefined if nobody has answered. */
  since: number | undefined;
  /** The other devices that have not left, except with `call.sfu`: then they are in `call.parties` only. */
  others: readonly OtherParty[];
  microphoneOn: boolean;
  cameraOn: boolean;
  screenOn: boolean;
  /** The video of this device, to show it to its own user. */
  camera: MediaStream | undefined;
  screen: MediaStream | undefined;
  /** The reasons why sources that the user wanted to turn on could not be used, by source. */
  errors: Readonly<Partial<Record<MediaSource, MediaError>>>;
}

/** The functions of a client that a call uses. The object that `createParley` returns has both. */
export interface CallTransport {
  request: Request;
  subscribe<Data, Variables extends object>(
    document: string | TypedDocument<Data, Variables>,
    variables: Variables,
    sink: Sink<Data>,
  ): () => void;
}

export interface CallOptions {
  transport: CallTransport;
  /** The call, and this device in it, as `startCall` or `acceptCall` returned them. */
  call: Call;
  partyId: string;
  /** The tracks that are on at the beginning; each is stopped when it is turned off or the call ends. */
  tracks?: Partial<Record<MediaSource, MediaStreamTrack | undefined>>;
  /** The sources that could not be opened at the beginning. */
  errors?: Partial<Record<MediaSource, MediaError>>;
  /** The devices that the user has chosen. */
  devices?: () => ChosenDevices;
  /** Called when what `view` returns has changed. */
  onChange: () => void;
}

/** The URL and the token with which LiveKit's client connects this device to the room: `room.connect(url, token)`. */
export interface SfuAccess {
  url: string;
  room: string;
  token: string;
}

/** How long this device waits for the only other one, whose connections are all lost, in milliseconds. */
const LOST_AFTER_MS = 60_000;

/** The participation of one device in a call. */
export interface CallHandle {
  view(): CallView;
  setMicrophone(isOn: boolean): Promise<void>;
  setCamera(isOn: boolean): Promise<void>;
  /** Shares a screen or a window, which the user chooses in a dialog of the browser. */
  setScreen(isOn: boolean): Promise<void>;
  /** Uses the devices that the user has chosen meanwhile, and replaces those that are gone. */
  changeDevices(): Promise<void>;
  /**
   * Fetches the credentials with which this device connects to the SFU; call it again for each connection. If
   * `call.sfu` is not null, the application sends and receives with the client of the SFU, and `setMicrophone`,
   * `setCamera` and `setScreen` only report what is on.
   * @throws ParleyError NOT_FOUND: the call has no SFU, or this device has left it.
   */
  sfuAccess(): Promise<SfuAccess>;
  /** Leaves the call. Resolves when the server has stored it. */
  leave(): Promise<void>;
  /**
   * Ends the participation of this device without a message to the server, for example because the page is being
   * closed.
   */
  close(): void;
}

/**
 * Connects this device with the others in a call: one connection to each. It follows the call by a stream of its own,
 * whose interruptions do not affect the connections, and restores connections that are lost.
 */
export function createCall(options: CallOptions): CallHandle {
  const { transport, partyId, onChange, devices = (): ChosenDevices => ({}) } = options;
  const { request } = transport;
  const callId = options.call.id;
  const peers = new Map<string, Peer>();
  const tracks: Record<MediaSource, MediaStreamTrack | null> = { microphone: null, camera: null, screen: null };
  /** The devices that were used when the tracks were opened. */
  const opened: Partial<Record<MediaSource, string | undefined>> = {};
  const errors: Partial<Record<MediaSource, MediaError>> = { ...options.errors };
  let call = options.call;
  const isOverSfu = call.sfu != null;
  /** The sources that the application sends to the SFU. */
  const overSfu = { microphone: true, camera: call.kind === 'VIDEO', screen: false };
  let isMuted = false;
  let isEnded = call.state === 'ENDED';
  let since: number | undefined;
  let wasConnected = false;
  let lostTimer: ReturnType<typeof setTimeout> | undefined;
  let cached: CallView | undefined;
  let camera: MediaStream | undefined;
  let screen: MediaStream | undefined;

  function changed(): void {
    cached = undefined;
    watchLoss();
    onChange();
  }

  // ── the stream and the signals ──

  const signals = createSignals({
    deliver: (toPartyId, payloads, acknowledgedSeq) =>
      request(SendCallSignalsDocument, {
        input: { callId, fromPartyId: partyId, toPartyId, payloads, acknowledgedSeq: acknowledgedSeq ?? null },
      }),
    receive: async (fromPartyId, signal) => peerOf(fromPartyId)?.receive(signal as PeerSignal),
    onFailure: () => void end(),
  });

  let endStream = () => {};
  let hasCall = false;
  function follow(failures = 0): void {
    const retry = async (error?: ParleyError) => {
      if (isEnded) return;
      // The session of this device in the call is over.
      if (error && !isTemporary(error)) return void end();
      await pause(Math.max(retryDelay(failures), error?.retryAfter ?? 0));
      if (!isEnded) follow(failures + 1);
    };
    // A new stream begins with the state of the call; if the call is not part of it, it is over.
    const variables = {
      get partyId() {
        hasCall = false;
        return partyId;
      },
    };
    endStream = transport.subscribe(CallsDocument as TypedDocument<CallsSubscription, { partyId: string }>, variables, {
      next: ({ calls }) => {
        if (calls.call?.id === callId) {
          hasCall = true;
          update(toCall(calls.call));
        } else if (calls.signal && !isEnded) {
          signals.onSignal(calls.signal);
        } else if (calls.type === 'CAUGHT_UP' && !hasCall) {
          end();
        }
      },
      error: (error) => void retry(error),
      complete: () => void retry(),
    });
  }

  function update(next: Call): void {
    if (isEnded) return;
    call = next;
    const own = call.parties.find(({ id }) => id === partyId);
    if (call.state === 'ENDED' || own?.state === 'LEFT') {
      end();
      return;
    }
    if (call.state === 'ACTIVE') since ??= Date.now();
    for (const party of call.parties) {
      if (party.id === partyId) continue;
      if (party.state !== 'LEFT') {
        if (call.state === 'ACTIVE') peerOf(party.id);
      } else {
        peers.get(party.id)?.close();
        peers.delete(party.id);
        signals.forget(party.id);
      }
    }
    changed();
  }

  /** The connection to another device; undefined if it has left. */
  function peerOf(id: string): Peer | undefined {
    const known = peers.get(id);
    if (known || isEnded || isOverSfu) return known;
    const ids = call.parties.map((party) => party.id);
    const party = call.parties.find((each) => each.id === id);
    if (party?.state === 'LEFT' || id === partyId) return undefined;
    const peer = createPeer({
      // A device that is not known yet has joined after this one.
      isPolite: ids.includes(id) && ids.indexOf(partyId) > ids.indexOf(id),
      relayOnly: call.relayOnly,
      iceServers,
      tracks: () => tracks,
      receivers: () => peers.size,
      send: (signal) => signals.send(id, signal),
      onChange: changed,
    });
    peers.set(id, peer);
    return peer;
  }

  async function iceServers(): Promise<RTCIceServer[]> {
    const { viewer } = await request(IceServersDocument, {});
    return (viewer?.iceServers ?? []).map(({ urls, username, credential }) => ({
      urls,
      ...(username != null && { username }),
      ...(credential != null && { credential }),
    }));
  }

  const networkChanged = () => {
    for (const peer of peers.values()) void peer.networkChanged();
  };
  globalThis.addEventListener?.('online', networkChanged);

  // ── what this device sends ──

  function setTrack(source: MediaSource, track: MediaStreamTrack | undefined): void {
    tracks[source]?.stop();
    tracks[source] = track ?? null;
    if (source === 'camera') camera = track && new MediaStream([track]);
    if (source === 'screen') screen = track && new MediaStream([track]);
    if (!track) return;
    delete errors[source];
    if (source === 'microphone') track.enabled = !isMuted;
    opened[source] = deviceOf(source);
    // Its device was removed, or the user has ended it with the browser's own controls.
    track.addEventListener('ended', () => void replaceLost(source, track));
  }

  const deviceOf = (source: MediaSource) =>
    ({ microphone: devices().microphoneId, camera: devices().cameraId, screen: undefined })[source];

  async function turnOn(source: MediaSource): Promise<void> {
    try {
      const [track] = await openTracks(source, deviceOf(source));
      if (isEnded) track?.stop();
      else setTrack(source, track);
    } catch (thrown) {
      // The user has closed the choice of a screen, which is not an error.
      const error = toMediaError(thrown, source);
      if (source !== 'screen' || error.reason !== 'denied') errors[source] = error;
      setTrack(source, undefined);
    }
  }

  async function replaceLost(source: MediaSource, track: MediaStreamTrack): Promise<void> {
    if (isEnded || tracks[source] !== track) return;
    if (source === 'screen') setTrack(source, undefined);
    else await turnOn(source);
    await tracksChanged();
  }

  /** Sends the current tracks, and reports to the others what is on. */
  async function tracksChanged(): Promise<void> {
    changed();
    await Promise.all([...peers.values()].map((peer) => peer.updateTracks()));
    await report();
  }

  let reported = '';
  let isReporting = false;
  async function report(): Promise<void> {
    if (isReporting) return;
    isReporting = true;
    for (let failures = 0; !isEnded; ) {
      const { microphoneOn, cameraOn, screenOn } = view();
      const media = { microphoneOn, cameraOn, screenOn };
      const next = JSON.stringify(media);
      if (next === reported) break;
      try {
        await request(UpdateCallMediaDocument, { input: { callId, partyId, ...media } });
        reported = next;
        failures = 0;
      } catch (thrown) {
        if (!isTemporary(thrown as ParleyError)) break;
        await pause(retryDelay(failures));
        failures += 1;
      }
    }
    isReporting = false;
  }

  // ── the end ──

  /** If nobody can be reached any more, this device leaves. */
  function watchLoss(): void {
    const isAlone = !isEnded && call.state === 'ACTIVE' && wasConnected && view().state === 'reconnecting';
    const isGone = isAlone && view().others.every(({ party }) => party.state === 'RECONNECTING');
    if (!isGone) {
      clearTimeout(lostTimer);
      lostTimer = undefined;
    } else {
      lostTimer ??= setTimeout(() => void leave(), LOST_AFTER_MS);
    }
  }

  function end(): void {
    if (isEnded) return;
    isEnded = true;
    release();
    changed();
  }

  function release(): void {
    endStream();
    globalThis.removeEventListener?.('online', networkChanged);
    signals.close();
    clearTimeout(lostTimer);
    for (const peer of peers.values()) peer.close();
    peers.clear();
    for (const source of ['microphone', 'camera', 'screen'] as const) setTrack(source, undefined);
  }

  async function leave(): Promise<void> {
    end();
    for (let failures = 0; ; failures += 1) {
      try {
        await request(LeaveCallDocument, { input: { callId, partyId } });
        return;
      } catch (thrown) {
        if (!isTemporary(thrown as ParleyError)) return;
        await pause(retryDelay(failures));
      }
    }
  }

  function view(): CallView {
    cached ??= compose();
    return cached;
  }

  function compose(): CallView {
    const others = call.parties.flatMap((party): OtherParty[] => {
      const peer = peers.get(party.id);
      return peer && party.state !== 'LEFT' ? [{ party, ...peer.view() }] : [];
    });
    const isConnected = isOverSfu || others.some(({ state }) => state === 'connected');
    wasConnected ||= isConnected;
    const active = isConnected ? 'connected' : wasConnected ? 'reconnecting' : 'connecting';
    return {
      call,
      partyId,
      state: isEnded ? 'ended' : call.state === 'RINGING' ? 'ringing' : active,
      since,
      others,
      microphoneOn: isOverSfu ? overSfu.microphone : tracks.microphone !== null && !isMuted,
      cameraOn: isOverSfu ? overSfu.camera : tracks.camera !== null,
      screenOn: isOverSfu ? overSfu.screen : tracks.screen !== null,
      camera,
      screen,
      errors: { ...errors },
    };
  }

  for (const [source, track] of Object.entries(options.tracks ?? {})) {
    if (!track) continue;
    // The client of the SFU opens its own.
    if (isOverSfu) track.stop();
    else setTrack(source as MediaSource, track);
  }
  if (isEnded) {
    release();
  } else {
    follow();
    update(call);
    void report();
  }

  return {
    view,
    async setMicrophone(isOn) {
      overSfu.microphone = isOn;
      isMuted = !isOn;
      if (isOverSfu) return tracksChanged();
      if (tracks.microphone) tracks.microphone.enabled = isOn;
      else if (isOn) await turnOn('microphone');
      await tracksChanged();
    },
    async setCamera(isOn) {
      overSfu.camera = isOn;
      if (isOverSfu) return tracksChanged();
      if (isOn) await turnOn('camera');
      else setTrack('camera', undefined);
      await tracksChanged();
    },
    async setScreen(isOn) {
      overSfu.screen = isOn;
      if (isOverSfu) return tracksChanged();
      if (isOn) await turnOn('screen');
      else setTrack('screen', undefined);
      await tracksChanged();
    },
    async changeDevices() {
      for (const source of ['microphone', 'camera'] as const) {
        if (tracks[source] && opened[source] !== deviceOf(source)) await turnOn(source);
      }
      await tracksChanged();
    },
    async sfuAccess() {
      const { node } = await request(CallSfuAccessDocument, { id: callId });
      const sfu = node && 'sfu' in node ? node.sfu : undefined;
      if (!sfu?.access) throw new ParleyError('NOT_FOUND', 'This device is not in a call over an SFU.');
      return { url: sfu.url, room: sfu.room, token: sfu.access.token };
    },
    leave,
    close() {
      endStream();
      release();
      isEnded = true;
    },
  };
}
