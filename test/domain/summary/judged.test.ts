import { describe, expect, it } from 'vitest';
import { type Dialogue, readDialogues } from '../../../bench/summaries/dialogues.mjs';
import { compare } from '../../../bench/summaries/judge.mjs';
import { choose, extract, pointsFor } from '../../../src/domain/summary/extractive/extract.js';

const dialogues = readDialogues();
const held = dialogues.filter(({ heldOut }) => heldOut);
const own = ({ messages }: Dialogue, count: number) => choose(messages, count);
const ownCount = ({ messages }: Dialogue) => pointsFor(messages.length, 12);

describe('the test dialogues', () => {
  it('are at least forty in three languages, each with a reference and key messages', () => {
    expect(dialogues.length).toBeGreaterThanOrEqual(40);
    expect([...new Set(dialogues.map(({ language }) => language))].sort()).toEqual(['de', 'en', 'es']);
    for (const { title, messages, keys, reference } of dialogues) {
      expect(messages.length, title).toBeGreaterThanOrEqual(15);
      expect(messages.length, title).toBeLessThanOrEqual(70);
      expect(keys.size, title).toBeGreaterThanOrEqual(3);
      expect(keys.size, title).toBeLessThan(messages.length / 3);
      expect(reference.length, title).toBeGreaterThan(100);
    }
    expect(new Set(dialogues.map(({ title }) => title)).size).toBe(dialogues.length);
    for (const language of ['de', 'en', 'es']) {
      expect(held.filter((each) => each.language === language).length, language).toBeGreaterThanOrEqual(5);
    }
  });
});

// The factors are about half of the advantage that `npm run bench:summaries` measures.
describe.each([
  ['three messages', () => 3],
  ['as many messages as a summary takes', ownCount],
] as const)('a summary of %s', (_title, countOf) => {
  const scores = compare(held, countOf, own);
  it.each(['lead', 'longest', 'random', 'textRank'] as const)('is better than %s on held-out dialogues', (method) => {
    const other = scores[method];
    expect(scores.own?.rouge1).toBeGreaterThan(1.15 * (other?.rouge1 ?? 1));
    expect(scores.own?.rouge2).toBeGreaterThan(1.3 * (other?.rouge2 ?? 1));
    expect(scores.own?.rougeL).toBeGreaterThan(1.15 * (other?.rougeL ?? 1));
    expect(scores.own?.recall).toBeGreaterThan(1.5 * (other?.recall ?? 1));
  });
});

it('the extractive summary is the same for the same conversation', () => {
  for (const { messages } of dialogues) {
    expect(extract(structuredClone(messages), 12)).toEqual(extract(messages, 12));
  }
});
