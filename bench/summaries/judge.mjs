// Measures the quality of summaries: ROUGE with the written references, and the recall of key messages.
import * as rouge from 'js-rouge';

/**
 * @typedef {import('./dialogues.mjs').Dialogue} Dialogue
 * @typedef {{ rouge1: number; rouge2: number; rougeL: number; recall: number }} Scores
 * @typedef {(dialogue: Dialogue, count: number) => number[]} Method gives the places of so many messages
 */

/** The library's tokenizer only supports English: here, words consist of letters and digits of any script. */
const tokenizer = (text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
const segmenter = (text) => text.split('\n');

/**
 * @param {Dialogue} dialogue
 * @param {number[]} places the indexes of the messages that the summary consists of
 * @returns {Scores}
 */
export function score({ messages, reference, keys, nameOf }, places) {
  const chosen = [...places].sort((a, b) => a - b).map((place) => messages[place]);
  const text = chosen.map((message) => `${nameOf(message.senderId)}: ${message.text}`).join('\n');
  const sentences = reference.replaceAll('. ', '.\n');
  return {
    rouge1: rouge.n(text, sentences, { n: 1, tokenizer }),
    rouge2: rouge.n(text, sentences, { n: 2, tokenizer }),
    rougeL: rouge.l(text, sentences, { tokenizer, segmenter }),
    recall: chosen.filter(({ seq }) => keys.has(seq)).length / Math.min(keys.size, places.length),
  };
}

/** @type {(scores: Scores[]) => Scores} */
export function meanOf(scores) {
  const mean = (name) => scores.reduce((sum, each) => sum + each[name], 0) / scores.length;
  return { rouge1: mean('rouge1'), rouge2: mean('rouge2'), rougeL: mean('rougeL'), recall: mean('recall') };
}

/** The first messages. @type {Method} */
export const lead = ({ messages }, count) => [...messages.keys()].slice(0, count);

/** The longest messages. @type {Method} */
export const longest = ({ messages }, count) =>
  [...messages.keys()].sort((a, b) => messages[b].text.length - messages[a].text.length || a - b).slice(0, count);

/** The number of random selections whose mean is taken: see `scoreOfChance`. */
const DRAWS = 50;

/** @type {(dialogue: Dialogue, count: number) => Scores} */
export function scoreOfChance(dialogue, count) {
  let state = dialogue.messages.length;
  // The generator of Numerical Recipes, which gives the same selections in every run.
  const next = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  return meanOf(
    Array.from({ length: DRAWS }, () => {
      const places = [...dialogue.messages.keys()];
      for (let left = places.length - 1; left > 0; left -= 1) {
        const other = Math.floor(next() * (left + 1));
        [places[left], places[other]] = [places[other], places[left]];
      }
      return score(dialogue, places.slice(0, count));
    }),
  );
}

/**
 * TextRank as published by Mihalcea and Tarau (2004), with messages instead of sentences: common words and PageRank.
 * @type {Method}
 */
export function textRank({ messages }, count) {
  const words = messages.map(({ text }) => new Set(tokenizer(text)));
  const weight = (a, b) => {
    const common = [...words[a]].filter((word) => words[b].has(word)).length;
    const size = Math.log(words[a].size) + Math.log(words[b].size);
    return common === 0 || size === 0 ? 0 : common / size;
  };
  const weights = messages.map((_a, a) => messages.map((_b, b) => (a === b ? 0 : weight(a, b))));
  const sums = weights.map((row) => row.reduce((sum, each) => sum + each, 0));
  let ranks = messages.map(() => 1);
  for (let round = 0; round < 50; round += 1) {
    ranks = ranks.map(
      (_rank, a) =>
        0.15 + 0.85 * ranks.reduce((sum, rank, b) => sum + (sums[b] ? (weights[b][a] / sums[b]) * rank : 0), 0),
    );
  }
  return [...messages.keys()].sort((a, b) => ranks[b] - ranks[a] || a - b).slice(0, count);
}

/**
 * The mean scores of each method over some dialogues. All methods select the same number of messages.
 * @param {Dialogue[]} dialogues
 * @param {(dialogue: Dialogue) => number} countOf
 * @param {Method} own
 * @returns {Record<string, Scores>}
 */
export function compare(dialogues, countOf, own) {
  const over = (method) => meanOf(dialogues.map((each) => score(each, method(each, countOf(each)))));
  return {
    own: over(own),
    lead: over(lead),
    longest: over(longest),
    random: meanOf(dialogues.map((each) => scoreOfChance(each, countOf(each)))),
    textRank: over(textRank),
  };
}
