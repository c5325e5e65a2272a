import { similarity, type WordVector } from './rank.js';

/** The number of messages before and after a position that are compared. */
const WINDOW = 4;
/** A pause of this many milliseconds always starts a new topic. */
const LONG_PAUSE = 2 * 3_600_000;
/** The minimum number of messages of a topic. */
const TOPIC_MIN = 4;
/** The minimum depth of a minimum of cohesion, relative to the maxima next to it. */
const DEPTH = 0.12;

/**
 * Assigns a topic to each message, numbered from 0 in the order of their beginnings. A new topic begins where the
 * preceding and the following words have little in common (TextTiling, Hearst 1997), and after a long pause. A reply
 * belongs to the topic of the message it refers to.
 */
export function topicsOf(
  vectors: readonly WordVector[],
  at: readonly number[],
  answered: readonly (number | undefined)[],
): number[] {
  const size = vectors.length;
  const cohesion = new Array<number>(size).fill(0);
  for (let place = 1; place < size; place += 1) {
    const before = sumOf(vectors.slice(Math.max(0, place - WINDOW), place));
    const after = sumOf(vectors.slice(place, place + WINDOW));
    cohesion[place] = similarity(before, after) / (lengthOf(before) * lengthOf(after) || 1);
  }
  const topics: number[] = [];
  let topic = 0;
  let begun = 0;
  for (let place = 0; place < size; place += 1) {
    const paused = place > 0 && (at[place] ?? 0) - (at[place - 1] ?? 0) >= LONG_PAUSE;
    if (place - begun >= TOPIC_MIN && size - place >= TOPIC_MIN && (paused || isValley(cohesion, place))) {
      topic += 1;
      begun = place;
    }
    topics.push(topic);
  }
  for (const [place, other] of answered.entries()) {
    if (other !== undefined) topics[place] = topics[other] ?? 0;
  }
  return topics;
}

/** Whether cohesion has a sufficiently deep minimum at a position. */
function isValley(cohesion: readonly number[], place: number): boolean {
  const here = cohesion[place] ?? 0;
  const hill = (step: 1 | -1) => {
    let highest = here;
    for (let next = place + step; next > 0 && next < cohesion.length; next += step) {
      const value = cohesion[next] ?? 0;
      if (value < highest) break;
      highest = value;
    }
    return highest;
  };
  return (
    hill(-1) + hill(1) - 2 * here >= DEPTH * 2 &&
    (cohesion[place + 1] ?? 1) >= here &&
    (cohesion[place - 1] ?? 1) > here
  );
}

function sumOf(vectors: readonly WordVector[]): WordVector {
  const sum = new Map<string, number>();
  for (const vector of vectors) for (const [stem, weight] of vector) sum.set(stem, (sum.get(stem) ?? 0) + weight);
  return sum;
}

function lengthOf(vector: WordVector): number {
  let square = 0;
  for (const weight of vector.values()) square += weight * weight;
  return Math.sqrt(square);
}
