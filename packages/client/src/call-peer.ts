import {
  type CallQuality,
  type CallStatistics,
  createQualityControl,
  type QualityStep,
  qualityOf,
  readStatistics,
  sampleBetween,
} from './call-quality.js';

/** A signal with which one device connects to another one. */
export interface PeerSignal {
  description?: { type: string; sdp: string } | undefined;
  candidates?: RTCIceCandidateInit[] | undefined;
}

/** The tracks that a device sends, each in its own place. */
interface PeerTracks {
  microphone: MediaStreamTrack | null;
  camera: MediaStreamTrack | null;
  screen: MediaStreamTrack | null;
}

export interface PeerOptions {
  /** The polite side gives way when both have made an offer at the same time. It waits for the first offer of the other one. */
  isPolite: boolean;
  relayOnly: boolean;
  /** Fetches servers with valid credentials. */
  iceServers: () => Promise<RTCIceServer[]>;
  tracks: () => PeerTracks;
  /** The number of devices that receive the video of this one. */
  receivers: () => number;
  /** Sends a signal to the other device; signals must arrive in their order. */
  send: (signal: PeerSignal) => void;
  /** Called when what `view` returns has changed. */
  onChange: () => void;
}

/** A connection to another device, as it is shown. */
export interface PeerView {
  state: 'connecting' | 'connected' | 'reconnecting';
  /** The audio and the camera video of the other device. */
  stream: MediaStream;
  /** Its screen. */
  screen: MediaStream;
  /** Undefined until it is measured. */
  quality: CallQuality | undefined;
  statistics: CallStatistics | undefined;
}

/** For how long candidates are collected, in milliseconds. */
const COLLECT_MS = 150;
/**
 * How long a connection may be interrupted before ICE is restarted, in milliseconds: most interruptions end by
 * themselves.
 */
const PATIENCE_MS = 1_500;
/** How often ICE is restarted until there is a connection, in milliseconds. */
const RESTART_EVERY_MS = 5_000;
const MEASURE_MS = 2_000;

/** The order in which the tracks are negotiated. Both sides rely on it. */
const places = ['microphone', 'camera', 'screen'] as const;
const kinds = { microphone: 'audio', camera: 'video', screen: 'video' } as const;

export type Peer = ReturnType<typeof createPeer>;

/**
 * A connection to one other device: perfect negotiation, with candidates that are sent in groups, and a new ICE generation
 * with fresh servers whenever the connection is lost. Tracks are replaced without another negotiation.
 */
export function createPeer(options: PeerOptions) {
  const { isPolite, send, onChange } = options;
  const stream = new MediaStream();
  const screen = new MediaStream();
  /** The browser synchronizes the audio and video of one stream. */
  const sent = new MediaStream();
  const connection = new RTCPeerConnection({
    iceTransportPolicy: options.relayOnly ? 'relay' : 'all',
    bundlePolicy: 'max-bundle',
  });
  let isClosed = false;
  let isOffering = false;
  let isIgnoring = false;
  let wasConnected = false;
  let isConnected = false;
  let collected: RTCIceCandidateInit[] = [];
  let collecting: ReturnType<typeof setTimeout> | undefined;
  let restarting: ReturnType<typeof setTimeout> | undefined;
  /** Candidates that arrived before the description. */
  const early: RTCIceCandidateInit[] = [];
  let statistics: CallStatistics | undefined;
  let quality: CallQuality | undefined;
  let control = createQualityControl(1);
  let receivers = 1;
  let applied: QualityStep | undefined;

  function flush(): void {
    clearTimeout(collecting);
    collecting = undefined;
    if (collected.length === 0) return;
    const candidates = collected;
    collected = [];
    send({ candidates });
  }

  function sendDescription(): void {
    // Candidates of the description before this one.
    flush();
    const { type, sdp } = connection.localDescription ?? {};
    if (type && sdp) send({ description: { type, sdp } });
  }

  connection.onicecandidate = ({ candidate }) => {
    if (!candidate) return;
    collected.push(candidate.toJSON());
    collecting ??= setTimeout(flush, COLLECT_MS);
  };

  connection.onnegotiationneeded = () => void offer();

  async function offer(): Promise<void> {
    // The first offer comes from the other side, with a place for each track.
    if (isPolite && connection.remoteDescription === null) return;
    isOffering = true;
    try {
      await connection.setLocalDescription();
      sendDescription();
    } catch {
      // The connection has been closed, or an offer of the other side came first.
    } finally {
      isOffering = false;
    }
  }

  connection.ontrack = ({ transceiver, track }) => {
    const place = connection.getTransceivers().indexOf(transceiver);
    (places[place] === 'screen' ? screen : stream).addTrack(track);
    onChange();
  };

  connection.onconnectionstatechange = update;
  connection.oniceconnectionstatechange = update;

  function update(): void {
    if (isClosed) return;
    const { connectionState, iceConnectionState } = connection;
    const isFailed = connectionState === 'failed' || iceConnectionState === 'failed';
    const next = connectionState === 'connected' && iceConnectionState !== 'disconnected';
    if (next) {
      wasConnected = true;
      clearTimeout(restarting);
      restarting = undefined;
    } else if (isFailed) {
      scheduleRestart(0);
    } else if (connectionState === 'disconnected' || iceConnectionState === 'disconnected') {
      // The other side notices it as well. One of them is enough.
      scheduleRestart(isPolite ? 2 * PATIENCE_MS : PATIENCE_MS);
    }
    if (next !== isConnected) {
      isConnected = next;
      onChange();
    }
  }

  function scheduleRestart(delay: number): void {
    if (restarting !== undefined && delay > 0) return;
    clearTimeout(restarting);
    restarting = setTimeout(() => void restart(), delay);
  }

  /** Restarts ICE, with new credentials, until there is a connection to the other device. */
  async function restart(): Promise<void> {
    clearTimeout(restarting);
    restarting = setTimeout(() => void restart(), RESTART_EVERY_MS);
    if (isPolite && connection.remoteDescription === null) return;
    await refreshServers();
    if (!isClosed && !(isConnected && connection.iceConnectionState !== 'disconnected')) connection.restartIce();
  }

  async function refreshServers(): Promise<void> {
    const iceServers = await options.iceServers().catch(() => undefined);
    if (isClosed || !iceServers) return;
    connection.setConfiguration({ ...connection.getConfiguration(), iceServers });
  }

  /** Restarts ICE immediately, because the network of this device has changed. */
  async function networkChanged(): Promise<void> {
    if (isClosed || connection.remoteDescription === null) return;
    await refreshServers();
    if (!isClosed) connection.restartIce();
  }

  /** Handles a signal of the other device. Signals must be passed one after the other, in their order. */
  async function receive({ description, candidates = [] }: PeerSignal): Promise<void> {
    await ready;
    if (isClosed) return;
    if (description) await receiveDescription(description as RTCSessionDescriptionInit);
    for (const candidate of candidates) {
      if (connection.remoteDescription === null) early.push(candidate);
      else await addCandidate(candidate);
    }
  }

  async function receiveDescription(description: RTCSessionDescriptionInit): Promise<void> {
    const isOffer = description.type === 'offer';
    const isCollision = isOffer && (isOffering || connection.signalingState !== 'stable');
    isIgnoring = !isPolite && isCollision;
    if (isIgnoring) return;
    // An answer to an offer that was rolled back.
    if (!isOffer && connection.signalingState !== 'have-local-offer') return;
    await connection.setRemoteDescription(description);
    if (isOffer) {
      await takePlaces();
      await connection.setLocalDescription();
      sendDescription();
    }
    for (const candidate of early.splice(0)) await addCandidate(candidate);
  }

  /** Candidates of an ICE generation that is over, or of an offer that was ignored, cannot be used. */
  async function addCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    const { usernameFragment } = candidate;
    const { sdp = '' } = connection.remoteDescription ?? {};
    if (usernameFragment && !sdp.includes(`a=ice-ufrag:${usernameFragment}`)) return;
    try {
      await connection.addIceCandidate(candidate);
    } catch (error) {
      if (!isIgnoring && !isClosed) console.debug('A candidate was not accepted:', error);
    }
  }

  /** Makes a place for each track, or takes those of the other side's offer. */
  async function takePlaces(): Promise<void> {
    const tracks = options.tracks();
    const transceivers = connection.getTransceivers();
    for (const [index, place] of places.entries()) {
      const known = transceivers[index];
      if (!known) {
        if (isPolite) continue;
        connection.addTransceiver(tracks[place] ?? kinds[place], {
          direction: 'sendrecv',
          streams: place === 'screen' ? [] : [sent],
        });
      } else if (known.direction !== 'sendrecv') {
        known.direction = 'sendrecv';
        if (place !== 'screen') known.sender.setStreams(sent);
        await known.sender.replaceTrack(tracks[place]);
      }
    }
  }

  /** Sends the current tracks. */
  async function updateTracks(): Promise<void> {
    const tracks = options.tracks();
    const transceivers = connection.getTransceivers();
    await Promise.all(
      places.map(async (place, index) => {
        const sender = transceivers[index]?.sender;
        if (sender && sender.track !== tracks[place]) await sender.replaceTrack(tracks[place]).catch(() => {});
      }),
    );
  }

  async function measure(): Promise<void> {
    if (!isConnected) return;
    const report = await connection.getStats().catch(() => undefined);
    if (!report || isClosed) return;
    const entries: (Record<string, unknown> & { type: string })[] = [];
    report.forEach((entry) => {
      entries.push(entry);
    });
    const before = statistics;
    statistics = readStatistics(entries);
    const sample = sampleBetween(before, statistics);
    quality = qualityOf(sample);
    if (options.receivers() !== receivers) {
      receivers = options.receivers();
      control = createQualityControl(receivers);
    }
    await apply(control.next(sample));
    onChange();
  }

  /** Applies a level of quality to the camera. */
  async function apply(step: QualityStep): Promise<void> {
    if (step === applied) return;
    const sender = connection.getTransceivers()[1]?.sender;
    const parameters = sender?.getParameters();
    const [encoding] = parameters?.encodings ?? [];
    if (!sender || !parameters || !encoding) return;
    Object.assign(encoding, step);
    applied = step;
    await sender.setParameters(parameters).catch(() => {
      applied = undefined;
    });
  }
  const measuring = setInterval(() => void measure(), MEASURE_MS);

  async function open(): Promise<void> {
    await refreshServers();
    if (!isClosed && !isPolite) await takePlaces();
  }
  const ready = open();

  function close(): void {
    isClosed = true;
    for (const timer of [collecting, restarting]) clearTimeout(timer);
    clearInterval(measuring);
    connection.close();
  }

  function view(): PeerView {
    const state = isConnected ? 'connected' : wasConnected ? 'reconnecting' : 'connecting';
    const shown = isConnected ? quality : wasConnected ? 'poor' : undefined;
    return { state, stream, screen, quality: shown, statistics };
  }

  return { receive, updateTracks, networkChanged, view, close };
}
