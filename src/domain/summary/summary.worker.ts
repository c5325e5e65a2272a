// Runs in a worker thread: see summary.workers.ts.
import { choose, extract } from './extractive/extract.js';
import type { Point, TalkMessage } from './summary.talk.js';

/** The points of a talk. */
export const points = ({ messages, max }: { messages: TalkMessage[]; max: number }): Point[] => extract(messages, max);

/** Of a part of a long talk the numbers of the messages that may be among the points of the whole. */
export const worthReading = ({ messages, count }: { messages: TalkMessage[]; count: number }): number[] =>
  choose(messages, count).map((place) => (messages[place] as TalkMessage).seq);
