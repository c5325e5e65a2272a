// How the weights of the embedded summarizer were found: `node bench/summaries/tune.mjs` after a build. One weight after
// another is moved as long as that helps, on the dialogues that are marked `tuned`; the others are never looked at.
import { choose, defaultWeights, pointsFor } from '../../dist/domain/summary/extractive/extract.js';
import { readDialogues } from './dialogues.mjs';
import { meanOf, score } from './judge.mjs';

const dialogues = readDialogues().filter(({ heldOut }) => !heldOut);
const STEPS = [0.4, -0.4, 0.2, -0.2, 0.1, -0.1];

/** Half key messages, half ROUGE; half with three messages, half with as many as a summary takes. */
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
      // What helps by chance alone is left alone.
      if (value < best + 0.002) continue;
      [weights, best, moved] = [tried, value, true];
    }
  }
}
console.log(`after: ${best.toFixed(4)}`, weights);
