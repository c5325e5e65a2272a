import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from 'react';
import { useScreenText } from '../locales/screens.ts';
import { IconButton } from '../shell/button.tsx';
import styles from './audio-player.module.css';
import { MediaIcon } from './media-icon.tsx';
import { durationText } from './sizes.ts';
import { barsOf, Waveform } from './waveform.tsx';

const SPEEDS = [1, 1.5, 2] as const;
/** How far the arrow keys move, in seconds. */
const STEP_S = 2;
const PAGE_S = 10;

/** The recording that is being played: there is one at a time. */
let playing: HTMLAudioElement | undefined;
/** The speed that the user has chosen last, for all recordings. */
let chosenSpeed: number = SPEEDS[0];

/** A recording: its waveform is a slider. */
export function AudioPlayer({
  url,
  name,
  durationMs,
  waveform,
}: {
  url: string;
  name: string;
  durationMs: number | null | undefined;
  waveform: readonly number[] | null | undefined;
}) {
  const { media: text } = useScreenText();
  const audio = useRef<HTMLAudioElement>(null);
  const [isPlaying, setPlaying] = useState(false);
  const [at, setAt] = useState(0);
  const [speed, setSpeed] = useState(chosenSpeed);
  const [measured, setMeasured] = useState<number>();
  // Recordings of some browsers do not contain their length.
  const length = durationMs ? durationMs / 1_000 : (measured ?? 0);
  useEffect(() => {
    const element = audio.current;
    return () => {
      if (element === playing) playing = undefined;
      element?.pause();
    };
  }, []);
  const toggle = () => {
    const element = audio.current;
    if (!element) return;
    if (!element.paused) {
      element.pause();
      return;
    }
    if (playing !== element) playing?.pause();
    playing = element;
    element.playbackRate = chosenSpeed;
    setSpeed(chosenSpeed);
    element.play().catch(() => setPlaying(false));
  };
  const seek = (seconds: number) => {
    const next = Math.min(length, Math.max(0, seconds));
    if (audio.current) audio.current.currentTime = next;
    setAt(next);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    const forward = getComputedStyle(event.currentTarget).direction === 'rtl' ? 'ArrowLeft' : 'ArrowRight';
    const steps: Readonly<Record<string, number>> = {
      ArrowUp: STEP_S,
      ArrowDown: -STEP_S,
      ArrowRight: forward === 'ArrowRight' ? STEP_S : -STEP_S,
      ArrowLeft: forward === 'ArrowLeft' ? STEP_S : -STEP_S,
      PageUp: PAGE_S,
      PageDown: -PAGE_S,
      Home: Number.NEGATIVE_INFINITY,
      End: Number.POSITIVE_INFINITY,
    };
    const step = steps[event.key];
    if (step === undefined) return;
    // The list of messages would move the focus.
    event.preventDefault();
    event.stopPropagation();
    seek(at + step);
  };
  const onPointer = (event: PointerEvent<HTMLElement>) => {
    if (event.buttons === 0 && event.type === 'pointermove') return;
    const { left, right, width } = event.currentTarget.getBoundingClientRect();
    const isRtl = getComputedStyle(event.currentTarget).direction === 'rtl';
    const from = isRtl ? right - event.clientX : event.clientX - left;
    seek((from / width) * length);
  };
  const nextSpeed = SPEEDS[(SPEEDS.indexOf(speed as 1) + 1) % SPEEDS.length] ?? 1;
  return (
    <div className={styles.player}>
      {/* biome-ignore lint/a11y/useMediaCaption: users send no captions with their recordings */}
      <audio
        ref={audio}
        src={url}
        preload="metadata"
        onPlay={() => setPlaying(true)}
        onPause={() => setPlaying(false)}
        onEnded={() => {
          setPlaying(false);
          setAt(0);
        }}
        onTimeUpdate={(event) => setAt(event.currentTarget.currentTime)}
        onDurationChange={(event) => {
          const { duration } = event.currentTarget;
          if (Number.isFinite(duration)) setMeasured(duration);
        }}
      />
      <IconButton label={isPlaying ? text.pause(name) : text.play(name)} className={styles.toggle} onClick={toggle}>
        <MediaIcon name={isPlaying ? 'pause' : 'play'} size={18} />
      </IconButton>
      <div
        className={styles.slider}
        role="slider"
        tabIndex={0}
        aria-label={text.position(name)}
        aria-valuemin={0}
        aria-valuemax={Math.round(length)}
        aria-valuenow={Math.round(at)}
        aria-valuetext={text.positionOf(durationText(at * 1_000), durationText(length * 1_000))}
        onKeyDown={onKeyDown}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          onPointer(event);
        }}
        onPointerMove={onPointer}
      >
        <Waveform bars={barsOf(waveform, name)} played={length > 0 ? at / length : 0} />
      </div>
      <time className={styles.time}>{durationText((isPlaying || at > 0 ? at : length) * 1_000)}</time>
      <button
        type="button"
        className={styles.speed}
        aria-label={text.speed(speed)}
        title={text.speed(speed)}
        onClick={() => {
          chosenSpeed = nextSpeed;
          setSpeed(nextSpeed);
          if (audio.current) audio.current.playbackRate = nextSpeed;
        }}
      >
        {speed}×
      </button>
    </div>
  );
}
