// Determines the weights of the embedded summarizer: `node bench/summaries/tune.mjs` after a build. It changes one
// weight at a time as long as the result improves, using only the dialogues marked `tuned`.
import { choose, defaultWeights, pointsFor } from '../../dist/domain/summary/extractive/extract.js';
import { readDialogues } from './dialogues.mjs';
import { meanOf, score } from './judge.mjs';

const dialogues = readDialogues().filter(({ heldOut }) => !heldOut);
const STEPS = [0.4, -0.4, 0.2, -0.2, 0.1, -0.1];

/** The mean of recall and ROUGE, each with three messages and with the default number of messages. */
function worth(weights) {
  const scores = dialogues.flatMap((dialogue) =>
    [3, pointsFor(dialogue.messages.length, 12)].map((count) =>
      score(dialogue, choose(dialogue.messages, count, weights)),
    ),
  );
  const { rouge1, rouge2, rougeL, recall } = meanOf(scores);
  return recall + rouge1 + rouge2 + rougeL;
}

let weights = { ...defaultWeights };
let best = worth(weights);
console.log(`before: ${best.toFixed(4)}`);
for (let moved = true; moved; ) {
  moved = false;
  for (const name of Object.keys(weights)) {
    for (const step of STEPS) {
      const tried = { ...weights, [name]: Math.round((weights[name] + step) * 100) / 100 };
      const value = worth(tried);
      // Ignores improvements that are probably random.
      if (value < best + 0.002) continue;
      [weights, best, moved] = [tried, value, true];
    }
  }
}
console.log(`after: ${best.toFixed(4)}`, weights);
