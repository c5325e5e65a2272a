// Runs in a worker thread: see summary.extractive.ts.
import { choose, extract } from './extractive/extract.js';
import type { Point, TranscriptMessage } from './summary.transcript.js';

/** The points of a conversation. */
export const points = ({ messages, max }: { messages: TranscriptMessage[]; max: number }): Point[] =>
  extract(messages, max);

/** The numbers of the messages of a part that are candidates for points of the whole conversation. */
export const partCandidates = ({ messages, count }: { messages: TranscriptMessage[]; count: number }): number[] =>
  choose(messages, count).map((place) => (messages[place] as TranscriptMessage).seq);
