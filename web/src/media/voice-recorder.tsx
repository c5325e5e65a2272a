import { useEffect, useRef, useState } from 'react';
import { useFiles } from '../files.ts';
import { useScreenText } from '../locales/screens.ts';
import { IconButton } from '../shell/button.tsx';
import { Icon } from '../shell/icon.tsx';
import { useToast } from '../shell/toast.tsx';
import { AudioPlayer } from './audio-player.tsx';
import { MediaIcon } from './media-icon.tsx';
import { useObjectUrl } from './object-url.ts';
import { durationText } from './sizes.ts';
import styles from './voice-recorder.module.css';
import { Waveform } from './waveform.tsx';

/** The formats of recordings, best first: browsers differ in which ones they can write. */
const FORMATS = [
  ['audio/webm;codecs=opus', 'webm'],
  ['audio/ogg;codecs=opus', 'ogg'],
  ['audio/mp4', 'm4a'],
] as const;
/** How often the loudness is measured, in milliseconds. */
const MEASURE_MS = 100;
/** The loudness of how many moments is shown while recording, and of how many of a recording. */
const SHOWN_PEAKS = 40;
const PEAKS = 64;

interface Recording {
  blob: Blob;
  extension: string;
  durationMs: number;
  peaks: number[];
}

/** Records a voice message in place of the field for texts. */
export default function VoiceRecorder({
  conversationId,
  replyToId,
  onSent,
  onClose,
}: {
  conversationId: string;
  replyToId: string | undefined;
  onSent(): void;
  onClose(): void;
}) {
  const { media: text } = useScreenText();
  const toast = useToast();
  const files = useFiles();
  const [elapsed, setElapsed] = useState(0);
  const [peaks, setPeaks] = useState<readonly number[]>([]);
  const [recording, setRecording] = useState<Recording>();
  const recorder = useRef<Awaited<ReturnType<typeof startRecording>>>(undefined);
  const sendWhenStopped = useRef(false);
  const preview = useObjectUrl(recording?.blob);

  const send = async ({ blob, extension, durationMs, peaks: all }: Recording) => {
    if (!files) return;
    const filename = `voice.${extension}`;
    const waveform = resampled(all, PEAKS);
    await files.add(conversationId, blob, { kind: 'VOICE', filename, durationMs, waveform });
    await files.send(conversationId, '', { replyToId });
    onSent();
    onClose();
  };
  useEffect(() => {
    let isClosed = false;
    const start = async () => {
      try {
        const started = await startRecording((moment) => {
          setElapsed(moment.elapsed);
          setPeaks((before) => [...before.slice(1 - SHOWN_PEAKS), moment.peak]);
        });
        if (isClosed) return started.cancel();
        recorder.current = started;
        const result = await started.result;
        if (isClosed) return;
        if (sendWhenStopped.current) await send(result);
        else setRecording(result);
      } catch (error) {
        if (isClosed) return;
        const isDenied = (error as Error).name === 'NotAllowedError';
        toast(isDenied ? text.microphoneDenied : text.microphoneFailed);
        onClose();
      }
    };
    void start();
    return () => {
      isClosed = true;
      recorder.current?.cancel();
    };
  }, []);
  const isRecording = recording === undefined;
  const container = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // The button that had the focus is gone.
    container.current?.querySelector<HTMLElement>('[data-focus]')?.focus();
  }, [isRecording]);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: Escape is another way to press the button that cancels
    <div
      ref={container}
      className={styles.recorder}
      onKeyDown={(event) => {
        if (event.key !== 'Escape') return;
        event.preventDefault();
        event.stopPropagation();
        onClose();
      }}
    >
      <IconButton label={text.discardRecording} onClick={onClose}>
        <Icon name="trash" />
      </IconButton>
      {isRecording ? (
        <>
          <span className={styles.dot} aria-hidden="true" />
          <time className={styles.time} role="timer" aria-label={text.recording}>
            {durationText(elapsed)}
          </time>
          <span className={styles.level}>
            <Waveform bars={[...Array<number>(SHOWN_PEAKS - peaks.length).fill(0), ...peaks]} />
          </span>
          <IconButton label={text.stopRecording} onClick={() => recorder.current?.stop()} data-focus="">
            <MediaIcon name="stop" />
          </IconButton>
        </>
      ) : (
        <div className={styles.preview}>
          {preview !== undefined && (
            <AudioPlayer
              url={preview}
              name={text.voice}
              durationMs={recording.durationMs}
              waveform={resampled(recording.peaks, PEAKS)}
            />
          )}
        </div>
      )}
      <IconButton
        label={text.sendVoice}
        className={styles.send}
        data-focus={isRecording ? undefined : ''}
        onClick={() => {
          if (recording) void send(recording);
          else {
            sendWhenStopped.current = true;
            recorder.current?.stop();
          }
        }}
      >
        <Icon name="send" />
      </IconButton>
    </div>
  );
}

/** The loudest moment of each of `count` parts, of which there can be more than moments. */
function resampled(peaks: readonly number[], count: number): number[] {
  return Array.from({ length: count }, (_, index) => {
    const [from = 0, to = 0] = [index, index + 1].map((at) => Math.floor((at / count) * peaks.length));
    return Math.max(0, ...peaks.slice(from, Math.max(from + 1, to)));
  });
}

/** Begins to record; the browser asks for permission first. */
async function startRecording(onMoment: (moment: { elapsed: number; peak: number }) => void) {
  const format = FORMATS.find(([type]) => MediaRecorder.isTypeSupported(type));
  if (!format) throw new Error('This browser cannot record.');
  const [mimeType, extension] = format;
  const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Uint8Array(analyser.fftSize);
  const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: 32_000 });
  const chunks: Blob[] = [];
  const peaks: number[] = [];
  const began = performance.now();
  const timer = setInterval(() => {
    analyser.getByteTimeDomainData(samples);
    const loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample - 128)), 0);
    const peak = Math.min(100, Math.round((loudest / 128) * 100));
    peaks.push(peak);
    onMoment({ elapsed: performance.now() - began, peak });
  }, MEASURE_MS);
  let isCancelled = false;
  const end = () => {
    clearInterval(timer);
    for (const track of stream.getTracks()) track.stop();
    void context.close();
  };
  const result = new Promise<Recording>((resolve, reject) => {
    recorder.ondataavailable = ({ data }) => chunks.push(data);
    recorder.onerror = reject;
    recorder.onstop = () => {
      end();
      if (isCancelled) return;
      const blob = new Blob(chunks, { type: mimeType });
      resolve({ blob, extension, durationMs: Math.round(performance.now() - began), peaks });
    };
  });
  recorder.start();
  return {
    result,
    stop() {
      if (recorder.state !== 'inactive') recorder.stop();
    },
    cancel() {
      isCancelled = true;
      if (recorder.state !== 'inactive') recorder.stop();
    },
  };
}
