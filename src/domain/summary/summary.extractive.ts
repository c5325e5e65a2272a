import { createWorkers, type Workers } from '../../infra/async/workers.js';
import type { Config } from '../../infra/config/config.js';
import { partsOf, type Summarizer } from './summary.summarizer.js';
import type { Point } from './summary.talk.js';

/** Raised when the same talk gives something else: what is kept is then made anew. */
const VERSION = 1;
/** Most messages that are held against each other at once. */
const AT_ONCE = 1_000;
/** Messages of a part of a longer talk, and how many of them may be among the points of the whole. */
const PART = 500;
const OF_PART = 40;

/** Threads of the embedded summarizer. They run what is built; tests run from the sources and take it from there. */
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
 * The embedded summarizer: quotes the messages that say the most. Of a long talk first those of each part, which are
 * kept; so a longer range of the same talk reads only what is new.
 */
export function createExtractive(workers: Workers, max: number): Summarizer {
  const points = (messages: unknown) => workers.run<Point[]>('points', { messages, max });
  return {
    recipe: `extractive ${VERSION} ${max}`,
    model: 'extractive',
    written: false,
    async summarize({ range, count, read, parts, keepPart, tell }) {
      if (count <= AT_ONCE) {
        return { text: '', points: await points(await read(range)), depth: 0 };
      }
      const known = await parts();
      const all = partsOf(range, PART);
      const total = all.length + 1;
      const seqs: number[] = [];
      for (const [done, part] of all.entries()) {
        tell({ done, total });
        const find = async () => workers.run<number[]>('worthReading', { messages: await read(part), count: OF_PART });
        const kept = known.get(part.fromSeq);
        const notes = kept?.toSeq === part.toSeq ? kept.notes : await (part.isWhole ? keepPart(part, find) : find());
        seqs.push(...(notes as number[]));
      }
      tell({ done: total - 1, total });
      return { text: '', points: await points(await read(range, seqs)), depth: 0 };
    },
  };
}
