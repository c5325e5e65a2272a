import type { Range, Steps } from './summary.store.js';
import type { Point, TalkMessage } from './summary.talk.js';

/** A talk that is to be summarized, and what is kept of it. */
export interface Talk {
  range: Range;
  /** Who asked for it: theirs is the cost. */
  userId: string;
  /** How many messages it has. */
  count: number;
  /** Its messages, or those of a part, or (with `only`) those of these numbers; in order. */
  read(range: Range, only?: readonly number[]): Promise<TalkMessage[]>;
  /** What was kept of parts that lie within it, by their first message. */
  parts(): Promise<Map<number, { toSeq: number; notes: unknown }>>;
  /**
   * What is found of a part, and kept for every range that the part is in. To be read and found within `find`, so that
   * nothing is kept of what is deleted meanwhile.
   */
  keepPart<Notes>(range: Range, find: () => Promise<Notes>): Promise<Notes>;
  /** Says how far it is. */
  tell(steps: Steps): void;
}

/** What a summarizer makes of a talk. */
export interface Digest {
  /** Empty: the points say it. */
  text: string;
  points: Point[];
  /** How often it was built on another one. */
  depth: number;
}

/** A way to make summaries. */
export interface Summarizer {
  /** Names the way and all that decides what comes out: what was kept with another recipe is not used. */
  readonly recipe: string;
  /** Its name, for people. */
  readonly model: string;
  /** In words of its own, not in those of the messages. */
  readonly written: boolean;
  summarize(talk: Talk): Promise<Digest>;
}

/** The parts of a range between multiples of `size`: the same ones for every range, but for its two ends. */
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
