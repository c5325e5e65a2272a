import { type Point, type PointKind, personTag, type TranscriptMessage, withoutTags } from '../summary.transcript.js';
import { type Signs, signsOf } from './cues.js';
import { alike, join, rank, similarity, vectorsOf, type WordVector } from './rank.js';
import { topicsOf } from './topics.js';
import { fold, languagesIn, stemsOf, wordsOf } from './words.js';

/**
 * The weights of the signs. They were determined with bench/summaries/tune.mjs on the dialogues marked `tuned`, as the
 * mean of an initial guess and the result, and evaluated on the others: see docs/SUMMARIES.md.
 */
export interface Weights {
  rank: number;
  /** The number of meaningful words, up to a dozen. */
  length: number;
  decision: number;
  task: number;
  news: number;
  time: number;
  numbers: number;
  money: number;
  question: number;
  /** It answers a question. */
  answer: number;
  /** Others agree with it or react to it. */
  assented: number;
  reactions: number;
  /** Others reply to it. */
  replied: number;
  assent: number;
  /** The penalty for repeating a selected message (MMR). */
  repeats: number;
  /** The bonus for the first selected message of a topic. */
  freshTopic: number;
}

export const defaultWeights: Weights = {
  rank: 0.8,
  length: 0.9,
  decision: 0.9,
  task: 0.5,
  news: 0.2,
  time: 0.4,
  numbers: 0.7,
  money: 0.4,
  question: -0.6,
  answer: 0.4,
  assented: 0.4,
  reactions: 0.8,
  replied: 0.2,
  assent: -0.6,
  repeats: 0.8,
  freshTopic: 0.2,
};

/** A message with everything that was determined about it. */
interface Candidate {
  message: TranscriptMessage;
  vector: WordVector;
  signs: Signs;
  topic: number;
  /** The index of the question that it answers, or of the message that it replies to. */
  answers: number | undefined;
  score: number;
}

/** The maximum length of a quote in UTF-16 units. Of longer messages, some sentences are quoted. */
const QUOTE_MAX = 280;
/** The number of following messages in which agreement, and in which answers to a question, are expected. */
const ASSENT_WITHIN = 3;
const ANSWER_WITHIN = 4;
/** The similarity assumed between a message and its reply, and between a question and its answer. */
const REPLY_LINK = 0.5;
const ANSWER_LINK = 0.3;
const NEIGHBOUR_LINK = 0.05;
const WORDS_FULL = 12;

/** The number of points for a conversation of this many messages. It grows more slowly than the number of messages. */
export const pointsFor = (messages: number, max: number): number =>
  Math.max(1, Math.min(max, Math.round(1.15 * Math.sqrt(messages))));

/**
 * Selects the messages that are most valuable together.
 * @returns at most `count` indexes in ascending order. The result is deterministic.
 */
export function choose(
  messages: readonly TranscriptMessage[],
  count: number,
  weights: Weights = defaultWeights,
): number[] {
  return pick(candidatesOf(messages, weights), count, weights);
}

/** Extracts at most `max` points from a conversation, grouped by topic, each with the messages that it quotes. */
export function extract(
  messages: readonly TranscriptMessage[],
  max: number,
  weights: Weights = defaultWeights,
): Point[] {
  const candidates = candidatesOf(messages, weights);
  const chosen = pick(candidates, pointsFor(messages.length, max), weights);
  /** The questions that are quoted together with an answer. */
  const answered = new Set(chosen.map((place) => candidates[place]?.answers));
  const topics = new Map<number, number>();
  const points: Point[] = [];
  for (const place of chosen) {
    const candidate = candidates[place];
    if (!candidate || (candidate.signs.isQuestion && answered.has(place))) continue;
    const { topic, answers, signs } = candidate;
    if (!topics.has(topic)) topics.set(topic, topics.size);
    const question = answers === undefined ? undefined : candidates[answers];
    // An answer is hard to understand without its question.
    const quoted = question?.signs.isQuestion && !signs.isQuestion ? [question, candidate] : [candidate];
    points.push({
      text: quoted.map(quoteOf).join('\n'),
      kind: kindOf(candidate),
      topic: topics.get(topic) ?? 0,
      seqs: quoted.map(({ message }) => message.seq),
    });
  }
  return points.sort((a, b) => a.topic - b.topic);
}

function kindOf({ signs, answers }: Candidate): PointKind {
  if (signs.isQuestion) return 'QUESTION';
  if (signs.decision > 0) return 'DECISION';
  if (signs.task > 0) return 'TASK';
  if (signs.news > 0) return 'NEWS';
  return answers === undefined ? 'POINT' : 'ANSWER';
}

function candidatesOf(messages: readonly TranscriptMessage[], weights: Weights): Candidate[] {
  const texts = messages.map(({ text }) => withoutTags(text));
  const words = texts.map(wordsOf);
  const languages = new Set(languagesIn(words));
  const stems = words.map((each) => stemsOf(each, languages));
  const vectors = vectorsOf(stems);
  const signs = texts.map((text, place) => signsOf(text, fold(text), words[place]?.length ?? 0, languages));
  const placeOf = new Map(messages.map(({ seq }, place) => [seq, place]));
  const repliesTo = messages.map(({ replyTo }) => (replyTo === undefined ? undefined : placeOf.get(replyTo)));
  const answers = messages.map((_message, place) => repliesTo[place] ?? openQuestion(messages, signs, place));
  const topics = topicsOf(
    vectors,
    messages.map(({ at }) => at),
    answers,
  );
  const neighbours = alike(vectors);
  for (const [place, other] of answers.entries()) {
    if (place > 0) join(neighbours, place, place - 1, NEIGHBOUR_LINK);
    if (other !== undefined) join(neighbours, place, other, repliesTo[place] === undefined ? ANSWER_LINK : REPLY_LINK);
  }
  const ranks = rank(neighbours);
  const replies = new Array<number>(messages.length).fill(0);
  for (const other of repliesTo) if (other !== undefined) replies[other] = (replies[other] ?? 0) + 1;
  return messages.map((message, place) => {
    const own = signs[place] as Signs;
    const answered = answers[place];
    const facts: Omit<Record<keyof Weights, number>, 'repeats' | 'freshTopic'> = {
      rank: ranks[place] ?? 0,
      length: Math.sqrt(Math.min(1, (stems[place]?.length ?? 0) / WORDS_FULL)),
      decision: own.decision,
      task: own.task,
      news: own.news,
      time: own.time,
      numbers: own.numbers / 3,
      money: own.money,
      question: Number(own.isQuestion),
      answer: Number(answered !== undefined && signs[answered]?.isQuestion === true && !own.isQuestion),
      assented: Math.min(1, assents(messages, signs, repliesTo, place) / 2),
      reactions: Math.min(1, Math.log2(1 + (message.reactions ?? 0)) / 2),
      replied: Math.min(1, (replies[place] ?? 0) / 2),
      assent: Number(own.isAssent),
    };
    let score = 0;
    for (const [fact, value] of Object.entries(facts)) score += weights[fact as keyof Weights] * value;
    return {
      message,
      vector: vectors[place] as WordVector,
      signs: own,
      topic: topics[place] ?? 0,
      answers: answered,
      score,
    };
  });
}

/** The index of a recent question of somebody else that nobody else has answered. */
function openQuestion(
  messages: readonly TranscriptMessage[],
  signs: readonly Signs[],
  place: number,
): number | undefined {
  const answerer = messages[place]?.senderId;
  for (let before = place - 1; before >= Math.max(0, place - ANSWER_WITHIN); before -= 1) {
    if (signs[before]?.isQuestion && messages[before]?.senderId !== answerer) return before;
    // Another user has answered it already.
    if (messages[before]?.senderId !== answerer && !signs[before]?.isAssent) return undefined;
  }
  return undefined;
}

/** The number of users who agree with a message, directly after it or in a reply. */
function assents(
  messages: readonly TranscriptMessage[],
  signs: readonly Signs[],
  repliesTo: readonly (number | undefined)[],
  place: number,
): number {
  const people = new Set<string>();
  const { senderId } = messages[place] as TranscriptMessage;
  for (let next = place + 1; next < messages.length && next <= place + ASSENT_WITHIN; next += 1) {
    const other = messages[next] as TranscriptMessage;
    if (other.senderId === senderId) break;
    const to = repliesTo[next];
    if (!signs[next]?.isAssent) {
      if (to !== place) break;
    } else if (to === undefined || to === place) people.add(other.senderId);
  }
  return people.size;
}

/** Maximal marginal relevance: repeatedly selects the message that adds most to those already selected. */
function pick(candidates: readonly Candidate[], count: number, weights: Weights): number[] {
  const chosen: number[] = [];
  const left = new Set(candidates.keys());
  /** For each message, its highest similarity to a selected message. */
  const highestSimilarity = new Array<number>(candidates.length).fill(0);
  const topics = new Set<number>();
  while (chosen.length < count && left.size > 0) {
    let best = -1;
    let highest = Number.NEGATIVE_INFINITY;
    for (const place of left) {
      const { score, topic } = candidates[place] as Candidate;
      const value =
        score - weights.repeats * (highestSimilarity[place] ?? 0) + (topics.has(topic) ? 0 : weights.freshTopic);
      if (value > highest) [best, highest] = [place, value];
    }
    left.delete(best);
    chosen.push(best);
    const taken = candidates[best] as Candidate;
    topics.add(taken.topic);
    for (const place of left) {
      highestSimilarity[place] = Math.max(
        highestSimilarity[place] ?? 0,
        similarity(taken.vector, (candidates[place] as Candidate).vector),
      );
    }
  }
  return chosen.sort((a, b) => a - b);
}

/** The quote of a message with a reference to its sender. */
function quoteOf({ message, vector }: Candidate): string {
  return `${personTag(message.senderId)}: ${shorten(withoutTags(message.text).replace(/\s+/g, ' ').trim(), vector)}`;
}

const sentences = new Intl.Segmenter(undefined, { granularity: 'sentence' });

/** The most important sentences of a long text, in their order. */
function shorten(text: string, vector: WordVector): string {
  if (text.length <= QUOTE_MAX) return text;
  const parts = [...sentences.segment(text)].map(({ segment }) => segment.trim()).filter((part) => part !== '');
  const worth = parts.map((part) => {
    let sum = 0;
    for (const [stem, weight] of vector) if (fold(part).includes(stem)) sum += weight;
    return sum / Math.sqrt(part.length);
  });
  const order = [...parts.keys()].sort((a, b) => (worth[b] ?? 0) - (worth[a] ?? 0) || a - b);
  const taken = new Set<number>();
  let length = 0;
  for (const place of order) {
    const size = (parts[place]?.length ?? 0) + 3;
    if (length + size > QUOTE_MAX) continue;
    taken.add(place);
    length += size;
  }
  if (taken.size === 0) return `${cut(parts[order[0] ?? 0] ?? text)}…`;
  return parts
    .flatMap((part, place) => (taken.has(place) ? [taken.has(place - 1) || place === 0 ? part : `… ${part}`] : []))
    .join(' ');
}

/** Truncates a text without splitting a surrogate pair. */
const cut = (text: string): string => text.slice(0, QUOTE_MAX).replace(/[\ud800-\udbff]$/, '');
