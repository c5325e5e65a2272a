import { type ChildProcess, fork } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { ConfigError } from '../../infra/config/config-error.js';
import type { AttachmentKind, Variant } from './media.store.js';

/** A file to check and convert. */
export interface Job {
  path: string;
  kind: AttachmentKind;
  byteSize: number;
  /** The expected hash, or null. */
  sha256: Uint8Array | null;
  pixelsMax: number;
  /** The prefix of the paths of the new files; the names of objects follow. */
  output: string;
  /** The program that makes posters of videos, or null, and how long it may take. */
  ffmpeg: { path: string; timeoutMs: number } | null;
}

/** The properties of a file that its processing has determined. */
export interface Facts {
  contentType: string;
  byteSize: number;
  /** Whether there is a new `original`. Otherwise, the upload is served as it is. */
  isChanged: boolean;
  width?: number;
  height?: number;
  durationMs?: number;
  thumbHash?: string;
  waveform?: number[];
  variants: Variant[];
}

/** `FAILED` is a failure of the machine, not of the file. */
export type Result = ({ state: 'READY' } & Facts) | { state: 'REJECTED' | 'FAILED'; reason: string };

/** The heap of the process, in MiB. Pixels are outside of it. */
const HEAP_MIB = 512;
/** After this time without work the process is ended, in milliseconds. */
const IDLE_MS = 30_000;

/** Runs jobs one after another in a process of its own, which is started when there is work. */
export interface MediaProcess {
  /**
   * Runs a job.
   * @throws {ProcessEnded} if the process was ended by the time limit, or crashed.
   */
  run(job: Job): Promise<Result>;
  close(): void;
}

/** The process was ended by the time limit, or crashed: perhaps because of the file. */
export class ProcessEnded extends Error {}

export function createMediaProcess(timeoutMs: number): MediaProcess {
  let child: ChildProcess | undefined;
  let idle: NodeJS.Timeout | undefined;

  function start(): ChildProcess {
    const started = fork(fileURLToPath(new URL('./media-process.js', import.meta.url)), [], {
      // Nothing of the node's environment, which contains secrets.
      env: {},
      execArgv: [`--max-old-space-size=${HEAP_MIB}`],
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      // A process group of its own, so that the programs it starts end with it.
      detached: true,
    });
    started.once('exit', () => {
      if (child === started) child = undefined;
    });
    started.on('error', () => {});
    return started;
  }

  function end(): void {
    clearTimeout(idle);
    if (child) kill(child);
    child = undefined;
  }

  return {
    run: (job) =>
      new Promise((resolve, reject) => {
        clearTimeout(idle);
        child ??= start();
        const own = child;
        const stop = () => {
          clearTimeout(timer);
          own.off('message', done);
          own.off('exit', ended);
        };
        const done = (result: unknown) => {
          stop();
          idle = setTimeout(end, IDLE_MS).unref();
          resolve(result as Result);
        };
        const ended = () => {
          stop();
          reject(new ProcessEnded('The process that checks files has ended.'));
        };
        const timer = setTimeout(() => kill(own), timeoutMs);
        own.once('message', done);
        own.once('exit', ended);
        own.send(job, (error) => {
          if (error) kill(own);
        });
      }),
    close: end,
  };
}

/** @throws {ConfigError} FFMPEG_PATH is not a program that can be run. */
export async function checkFfmpeg({ ffmpegPath }: { ffmpegPath: string | undefined }): Promise<void> {
  if (ffmpegPath === undefined) return;
  try {
    await access(ffmpegPath, constants.X_OK);
  } catch {
    throw new ConfigError(`FFMPEG_PATH: ${ffmpegPath} is not a program that can be run`);
  }
}

/** Ends a process and the programs that it has started. */
function kill({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended already.
  }
}
