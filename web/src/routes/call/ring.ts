import { areSoundsOn } from '../../preferences.ts';
import { canPlay } from '../notifications/sound.ts';

/** The tones of a ring: their frequencies in hertz, when they begin and how long they last, in seconds. */
const incoming = [
  [523, 0, 0.3],
  [659, 0.18, 0.3],
  [784, 0.36, 0.5],
] as const;
/** The tones that the caller hears until somebody answers. */
const outgoing = [[425, 0, 1]] as const;
const PERIOD_MS = { incoming: 2_000, outgoing: 4_000 } as const;
const VOLUME = { incoming: 0.12, outgoing: 0.04 } as const;

let context: AudioContext | undefined;

/** Plays tones again and again until the returned function is called. */
function play(kind: 'incoming' | 'outgoing'): () => void {
  context ??= new AudioContext();
  const { currentTime, destination } = context;
  void context.resume();
  const volume = context.createGain();
  volume.gain.value = VOLUME[kind];
  volume.connect(destination);
  const tones = kind === 'incoming' ? incoming : outgoing;
  const strike = (begin: number) => {
    for (const [frequency, after, duration] of tones) {
      const tone = (context as AudioContext).createOscillator();
      tone.frequency.value = frequency;
      tone.connect(volume);
      tone.start(begin + after);
      tone.stop(begin + after + duration);
    }
  };
  strike(currentTime);
  const timer = setInterval(() => strike((context as AudioContext).currentTime), PERIOD_MS[kind]);
  return () => {
    clearInterval(timer);
    // Tones that have begun end immediately as well.
    volume.disconnect();
  };
}

/**
 * Rings for a call, in one of the tabs that may play sounds. Another one continues if that tab is closed.
 * @returns a function that ends it.
 */
export function ring(callId: string): () => void {
  if (!areSoundsOn() || !canPlay()) return () => {};
  const { locks } = navigator;
  if (!locks) return play('incoming');
  const waiting = new AbortController();
  let end = () => {};
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  void locks
    .request(`parley-ring:${callId}`, { signal: waiting.signal }, async () => {
      const stop = play('incoming');
      await ended;
      stop();
    })
    .catch(() => {});
  return () => {
    waiting.abort();
    end();
  };
}

/** Plays the ringing tone for the caller. */
export const ringBack = (): (() => void) => (areSoundsOn() ? play('outgoing') : () => {});
