import { createWorkers, type Workers } from '../../infra/async/workers.js';
import type { Config } from '../../infra/config/config.js';
import { AT_ONCE, OF_PART, PART } from './summary.parts.js';
import { partsOf, type Summarizer } from './summary.summarizer.js';
import type { Point } from './summary.transcript.js';

/** To be incremented when the result for the same messages changes, so that stored summaries are not reused. */
const VERSION = 1;

/** The threads of the embedded summarizer. They run compiled code, also when tests run from the sources. */
export const createSummaryWorkers = ({ summaryQueueMax }: Config): Workers =>
  createWorkers({
    file: new URL(
      import.meta.url.endsWith('.ts') ? '../../../dist/domain/summary/summary.worker.js' : './summary.worker.js',
      import.meta.url,
    ),
    queueMax: summaryQueueMax,
    what: 'summaries',
  });

/**
 * The embedded summarizer, which quotes the most important messages. Long conversations are processed in parts whose
 * results are stored, so that a longer range of the same conversation only reads new messages.
 */
export function createExtractive(workers: Workers, max: number): Summarizer {
  const points = (messages: unknown) => workers.run<Point[]>('points', { messages, max });
  return {
    recipe: `extractive ${VERSION} ${max}`,
    model: 'extractive',
    written: false,
    async summarize({ range, count, read, parts, storePart, onProgress }) {
      if (count <= AT_ONCE) {
        return { text: '', points: await points(await read(range)), depth: 0 };
      }
      const known = await parts();
      const all = partsOf(range, PART);
      const total = all.length + 1;
      const seqs: number[] = [];
      for (const [done, part] of all.entries()) {
        onProgress({ done, total });
        const find = async () =>
          workers.run<number[]>('partCandidates', { messages: await read(part), count: OF_PART });
        const kept = known.get(part.fromSeq);
        const notes = kept?.toSeq === part.toSeq ? kept.notes : await (part.isWhole ? storePart(part, find) : find());
        seqs.push(...(notes as number[]));
      }
      onProgress({ done: total - 1, total });
      return { text: '', points: await points(await read(range, seqs)), depth: 0 };
    },
  };
}
