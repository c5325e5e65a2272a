// `npm run bench:summaries` measures the quality and the speed of the embedded summarizer. docs/SUMMARIES.md explains
// the results.
import { performance } from 'node:perf_hooks';
import { choose, extract, pointsFor } from '../../dist/domain/summary/extractive/extract.js';
import { readDialogues } from './dialogues.mjs';
import { compare } from './judge.mjs';

const dialogues = readDialogues();
const own = ({ messages }, count) => choose(messages, count);
const names = { own: 'Parley', lead: 'lead', longest: 'longest', random: 'random', textRank: 'TextRank' };
const figure = (value) => value.toFixed(3);

function table(title, some, countOf) {
  const scores = compare(some, countOf, own);
  console.log(`\n${title} (${some.length} dialogues)\n`);
  console.log('| | ROUGE-1 | ROUGE-2 | ROUGE-L | key messages |\n|---|---|---|---|---|');
  for (const [method, { rouge1, rouge2, rougeL, recall }] of Object.entries(scores)) {
    console.log(`| ${names[method]} | ${[rouge1, rouge2, rougeL, recall].map(figure).join(' | ')} |`);
  }
}

const ownCount = ({ messages }) => pointsFor(messages.length, 12);
const held = dialogues.filter(({ heldOut }) => heldOut);
const tuned = dialogues.filter(({ heldOut }) => !heldOut);
const count = dialogues.reduce((sum, { messages }) => sum + messages.length, 0);
console.log(`${dialogues.length} dialogues of ${count} messages, ${held.length} of them held out.`);
table('Held out, three messages each', held, () => 3);
table('Held out, as many messages as a summary takes', held, ownCount);
table('Tuned on, three messages each', tuned, () => 3);
table('Tuned on, as many messages as a summary takes', tuned, ownCount);
for (const language of new Set(dialogues.map((each) => each.language))) {
  table(
    `Held out, ${language}, as many as a summary takes`,
    held.filter((each) => each.language === language),
    ownCount,
  );
}

const talk = Array.from({ length: Math.ceil(1_000 / count) }, () => dialogues)
  .flat()
  .flatMap(({ messages }) => messages)
  .slice(0, 1_000)
  .map((message, index) => ({ ...message, seq: index + 1, at: index * 60_000, replyTo: undefined }));
const times = Array.from({ length: 15 }, () => {
  const [began, { user }] = [performance.now(), process.cpuUsage()];
  extract(talk, 12);
  return { wall: performance.now() - began, cpu: (process.cpuUsage().user - user) / 1_000 };
});
const medianOf = (name) =>
  times
    .map((each) => each[name])
    .sort((a, b) => a - b)[7]
    .toFixed(0);
console.log(`\n1,000 messages: ${medianOf('wall')} ms, of which ${medianOf('cpu')} ms of CPU (medians of 15)`);
