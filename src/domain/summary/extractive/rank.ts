/** For each message, the similar messages by index, with their similarity. */
export type Neighbours = ReadonlyMap<number, number>[];

/** The words of a message with their weights, normalized to length 1. */
export type WordVector = ReadonlyMap<string, number>;

/**
 * Words in a larger share of the messages are ignored, because they indicate little about similarity and would cost
 * most.
 */
const COMMON_SHARE = 0.2;
/** In conversations with few messages, words are never ignored. */
const COMMON_MIN = 8;

/** Weighs words by their frequency in a message and their rarity in the conversation (TF-IDF). */
export function vectorsOf(stems: readonly (readonly string[])[]): WordVector[] {
  const messagesWith = new Map<string, number>();
  for (const each of stems) for (const stem of new Set(each)) messagesWith.set(stem, (messagesWith.get(stem) ?? 0) + 1);
  return stems.map((each) => {
    const counts = new Map<string, number>();
    for (const stem of each) counts.set(stem, (counts.get(stem) ?? 0) + 1);
    let square = 0;
    const vector = new Map<string, number>();
    for (const [stem, count] of counts) {
      const weight = (1 + Math.log(count)) * Math.log(1 + stems.length / (messagesWith.get(stem) ?? 1));
      vector.set(stem, weight);
      square += weight * weight;
    }
    const length = Math.sqrt(square) || 1;
    for (const [stem, weight] of vector) vector.set(stem, weight / length);
    return vector;
  });
}

/** The similarity of two messages from 0 to 1: the cosine of their word vectors. */
export function similarity(one: WordVector, other: WordVector): number {
  const [small, large] = one.size < other.size ? [one, other] : [other, one];
  let sum = 0;
  for (const [stem, weight] of small) sum += weight * (large.get(stem) ?? 0);
  return sum;
}

/** Finds similar messages by their common words; most pairs have none. */
export function alike(vectors: readonly WordVector[]): Map<number, number>[] {
  const having = new Map<string, number[]>();
  for (const [at, vector] of vectors.entries()) {
    for (const stem of vector.keys()) {
      const known = having.get(stem);
      if (known) known.push(at);
      else having.set(stem, [at]);
    }
  }
  const common = Math.max(COMMON_MIN, COMMON_SHARE * vectors.length);
  const neighbours = vectors.map(() => new Map<number, number>());
  for (const [stem, places] of having) {
    if (places.length < 2 || places.length > common) continue;
    for (const [index, one] of places.entries()) {
      const weight = vectors[one]?.get(stem) ?? 0;
      const own = neighbours[one];
      for (let next = index + 1; next < places.length; next += 1) {
        const other = places[next] as number;
        const part = weight * (vectors[other]?.get(stem) ?? 0);
        own?.set(other, (own.get(other) ?? 0) + part);
      }
    }
  }
  for (const [one, others] of neighbours.entries()) {
    for (const [other, weight] of others) if (other > one) neighbours[other]?.set(one, weight);
  }
  return neighbours;
}

/** Adds a similarity between two messages that are related for another reason than their words. */
export function join(neighbours: Map<number, number>[], one: number, other: number, weight: number): void {
  if (one === other) return;
  for (const [from, to] of [
    [one, other],
    [other, one],
  ] as const) {
    neighbours[from]?.set(to, (neighbours[from]?.get(to) ?? 0) + weight);
  }
}

/** The share of a rank that comes from the neighbours, as published by Mihalcea and Tarau (2004). */
const DAMPING = 0.85;
const ROUNDS = 30;
const EPSILON = 1e-5;

/** TextRank: a message ranks high if high-ranking messages are similar to it. The highest rank is 1. */
export function rank(neighbours: Neighbours): number[] {
  const size = neighbours.length;
  const sums = neighbours.map((others) => {
    let sum = 0;
    for (const weight of others.values()) sum += weight;
    return sum;
  });
  // Flat arrays, because the iterations below traverse them many times.
  const begins = new Int32Array(size + 1);
  for (const [at, { size: count }] of neighbours.entries()) begins[at + 1] = (begins[at] ?? 0) + count;
  const places = new Int32Array(begins[size] ?? 0);
  const shares = new Float64Array(begins[size] ?? 0);
  let next = 0;
  for (const others of neighbours) {
    for (const [other, weight] of others) {
      places[next] = other;
      shares[next] = weight / (sums[other] || 1);
      next += 1;
    }
  }
  let ranks = new Float64Array(size).fill(1);
  for (let round = 0; round < ROUNDS; round += 1) {
    const moved = new Float64Array(size);
    let most = 0;
    for (let at = 0; at < size; at += 1) {
      let sum = 0;
      for (let place = begins[at] ?? 0; place < (begins[at + 1] ?? 0); place += 1) {
        sum += (shares[place] ?? 0) * (ranks[places[place] ?? 0] ?? 0);
      }
      const value = 1 - DAMPING + DAMPING * sum;
      moved[at] = value;
      most = Math.max(most, Math.abs(value - (ranks[at] ?? 0)));
    }
    ranks = moved;
    if (most < EPSILON) break;
  }
  const highest = Math.max(...ranks, Number.MIN_VALUE);
  return [...ranks].map((value) => value / highest);
}
