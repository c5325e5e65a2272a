/** The two tones of the sound: their frequencies in hertz, and when they begin, in seconds. */
const TONES = [
  [660, 0],
  [880, 0.11],
] as const;
/** How loud a tone is at first, and how long it takes to fade, in seconds. */
const VOLUME = 0.08;
const FADE = 0.35;

let context: AudioContext | undefined;

/** Whether this tab can play: browsers permit it after the user has pressed something in it. */
export const canPlay = (): boolean => navigator.userActivation?.hasBeenActive ?? true;

/** Plays a short, soft sound. */
export async function playSound(): Promise<void> {
  context ??= new AudioContext();
  await context.resume();
  const now = context.currentTime;
  for (const [frequency, begin] of TONES) {
    const tone = context.createOscillator();
    const volume = context.createGain();
    tone.frequency.value = frequency;
    volume.gain.setValueAtTime(0, now + begin);
    volume.gain.linearRampToValueAtTime(VOLUME, now + begin + 0.01);
    volume.gain.exponentialRampToValueAtTime(0.0001, now + begin + FADE);
    tone.connect(volume).connect(context.destination);
    tone.start(now + begin);
    tone.stop(now + begin + FADE);
  }
}
