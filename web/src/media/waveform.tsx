import styles from './waveform.module.css';

const BARS = 32;

/** The heights of bars from 0 to 100. Without a waveform, they are the same for each name, and have no meaning. */
export function barsOf(waveform: readonly number[] | null | undefined, name: string): number[] {
  const peaks = waveform && waveform.length > 0 ? waveform : undefined;
  return Array.from({ length: BARS }, (_, index) => {
    if (!peaks) return 25 + ((index * 37 + name.length * 13) % 20);
    const from = Math.floor((index / BARS) * peaks.length);
    const to = Math.max(from + 1, Math.floor(((index + 1) / BARS) * peaks.length));
    return Math.max(...peaks.slice(from, to));
  });
}

/** The loudness of a recording. `played` is the part that has been played, from 0 to 1. */
export function Waveform({ bars, played = 1 }: { bars: readonly number[]; played?: number }) {
  return (
    <span className={styles.waveform} aria-hidden="true">
      {bars.map((bar, index) => (
        <i
          key={`${index}`}
          style={{ blockSize: `${Math.max(10, bar)}%` }}
          data-played={index < played * bars.length ? '' : undefined}
        />
      ))}
    </span>
  );
}
