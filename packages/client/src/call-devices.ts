import type { Readable, State } from './state.js';

/** A source of audio or video that a device can send in a call. */
export type MediaSource = 'microphone' | 'camera' | 'screen';

/** Why a microphone, a camera or a screen cannot be used. */
export class MediaError extends Error {
  override readonly name = 'MediaError';
  declare readonly source: MediaSource;
  /**
   * - `denied`: the user or the browser does not permit it.
   * - `missing`: there is none.
   * - `busy`: another program uses it, or it is defective.
   * - `unsupported`: the browser has no such function, or the page is not a secure context (HTTPS or `localhost`).
   */
  declare readonly reason: 'denied' | 'missing' | 'busy' | 'unsupported';

  constructor(source: MediaSource, reason: MediaError['reason'], message: string) {
    super(message);
    Object.assign(this, { source, reason });
  }
}

/** A microphone, a camera or a speaker. */
export interface Device {
  id: string;
  /** Its name, which browsers hide until the user has permitted a microphone or a camera. */
  name: string;
}

/** The devices of this computer. */
export interface Devices {
  microphones: readonly Device[];
  cameras: readonly Device[];
  /** Empty in browsers in which only the system chooses the speaker. */
  speakers: readonly Device[];
}

/** The chosen devices by their ids; undefined for that of the system. */
export interface ChosenDevices {
  microphoneId?: string | undefined;
  cameraId?: string | undefined;
  speakerId?: string | undefined;
}

const reasons: Readonly<Record<string, MediaError['reason']>> = {
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
};

/** Converts what `getUserMedia` has thrown. */
export function toMediaError(thrown: unknown, source: MediaSource): MediaError {
  if (thrown instanceof MediaError) return thrown;
  const { name = '', message = '' } = (thrown ?? {}) as Partial<Error>;
  return new MediaError(source, reasons[name] ?? 'busy', message);
}

/**
 * Opens a microphone, a camera or a screen. If the chosen device is gone, that of the system is used.
 * @throws MediaError
 */
export async function openTracks(source: MediaSource, deviceId?: string): Promise<MediaStreamTrack[]> {
  const media = globalThis.navigator?.mediaDevices;
  if (!media || (source === 'screen' && !media.getDisplayMedia)) {
    throw new MediaError(source, 'unsupported', `This page cannot use a ${source}.`);
  }
  const chosen = deviceId === undefined ? {} : { deviceId: { exact: deviceId } };
  const open = (device: object): Promise<MediaStream> => {
    if (source === 'screen') return media.getDisplayMedia({ video: { frameRate: 15 }, audio: false });
    if (source === 'microphone') return media.getUserMedia({ audio: { ...device, echoCancellation: true } });
    return media.getUserMedia({ video: { ...device, width: { ideal: 1_280 }, height: { ideal: 720 } } });
  };
  try {
    return (await open(chosen)).getTracks();
  } catch (thrown) {
    const error = toMediaError(thrown, source);
    if (deviceId === undefined || error.reason === 'denied') throw error;
    try {
      return (await open({})).getTracks();
    } catch (again) {
      throw toMediaError(again, source);
    }
  }
}

/** The devices, as they are connected and removed. */
export function watchDevices(state: State): Readable<Devices> & { update(): Promise<void> } {
  const KEY = '~devices';
  const none: Devices = { microphones: [], cameras: [], speakers: [] };
  let isWatched = false;

  async function update(): Promise<void> {
    const found = (await navigator.mediaDevices.enumerateDevices().catch(() => [])) as MediaDeviceInfo[];
    const ofKind = (kind: string) =>
      found
        // Before a permission, ids and names are empty. Some browsers list the device of the system twice.
        .filter((each) => each.kind === kind && !['', 'default', 'communications'].includes(each.deviceId))
        .map(({ deviceId: id, label: name }): Device => ({ id, name }));
    const devices: Devices = {
      microphones: ofKind('audioinput'),
      cameras: ofKind('videoinput'),
      speakers: ofKind('audiooutput'),
    };
    if (JSON.stringify(devices) !== JSON.stringify(state.get(KEY))) state.set(KEY, devices);
  }

  return Object.assign(
    state.derive(
      () => state.get<Devices>(KEY) ?? none,
      () => {
        if (!globalThis.navigator?.mediaDevices) return;
        void update();
        if (isWatched) return;
        isWatched = true;
        navigator.mediaDevices.addEventListener('devicechange', () => void update());
      },
    ),
    { update },
  );
}
