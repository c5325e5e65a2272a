import type { Range, Steps } from './summary.store.js';
import type { Point, TranscriptMessage } from './summary.transcript.js';

/** The messages to be summarized, and the stored results of their parts. */
export interface Transcript {
  range: Range;
  /** The user who requested the summary and is charged for it. */
  userId: string;
  /** The number of messages. */
  count: number;
  /** Reads the messages of a range, or (with `only`) those with these numbers, in order. */
  read(range: Range, only?: readonly number[]): Promise<TranscriptMessage[]>;
  /** The stored results of parts within the range, by their first message. */
  parts(): Promise<Map<number, { toSeq: number; notes: unknown }>>;
  /**
   * Returns the result of `find` for a part and stores it for all ranges that contain the part. Messages must be read
   * within `find`, so that nothing is stored about messages that are deleted in the meantime.
   */
  storePart<Notes>(range: Range, find: () => Promise<Notes>): Promise<Notes>;
  /** Reports the progress. */
  onProgress(steps: Steps): void;
}

/** The result of a summarizer. */
export interface Digest {
  /** Empty if the points are the summary. */
  text: string;
  points: Point[];
  /** The number of summaries that it was built on. */
  depth: number;
}

/** Creates summaries in one way: extractively or with a model. */
export interface Summarizer {
  /** Identifies the summarizer and everything that affects the result. Stored summaries with another recipe are not reused. */
  readonly recipe: string;
  /** The name shown to users. */
  readonly model: string;
  /** Whether the summary is in the summarizer's own words, and not quoted from messages. */
  readonly written: boolean;
  summarize(transcript: Transcript): Promise<Digest>;
}

/** The parts of a range between multiples of `size`. They are the same for all ranges, except for the ends. */
export function partsOf({ conversationId, fromSeq, toSeq }: Range, size: number): (Range & { isWhole: boolean })[] {
  const parts: (Range & { isWhole: boolean })[] = [];
  for (let from = fromSeq; from <= toSeq; ) {
    const end = Math.ceil(from / size) * size;
    const to = Math.min(end, toSeq);
    parts.push({ conversationId, fromSeq: from, toSeq: to, isWhole: to === end && (from - 1) % size === 0 });
    from = to + 1;
  }
  return parts;
}
