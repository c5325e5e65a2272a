import { Worker } from 'node:worker_threads';
import type { RunningNode } from '../../src/server/start.js';
import type { Person } from './client.js';

/** `npm run test:attacks` sets it: each attack lasts as long as docs/SECURITY.md says, and latencies are asserted. */
const longForm = process.env['ATTACKS'] === 'long';
export const attackForm = <Value>(short: Value, long: Value): Value => (longForm ? long : short);

/** What one hostile account or anonymous client does within the default limits. */
export interface Attack {
  name: string;
  /**
   * Makes what the attack needs, on a node of the same database that has no rate limits and is stopped afterwards. It
   * is not measured.
   * @returns what is run over and over until the time is up, by `parallel` callers at once. A refusal by the node is
   *   no failure; it must not throw. What it opens it closes before it resolves, or when the signal aborts.
   */
  prepare(node: RunningNode): Promise<(url: string, over: AbortSignal) => Promise<unknown>>;
  /** How many callers run it at once; 4 unless given. */
  parallel?: number;
}

/** How somebody else's calls were answered meanwhile: latencies in milliseconds. */
export interface Measured {
  calls: number;
  p50: number;
  p99: number;
  max: number;
  /** What went wrong with calls that failed. */
  failures: string[];
}

/**
 * Asks `{ __typename }` and `{ viewer { id } }` in turn, 50 times a second, from a thread of its own. Resolves when the
 * first calls were answered, which are not part of what is measured.
 */
export async function startProbe(url: string, { token }: Person): Promise<{ stop(): Promise<Measured> }> {
  const worker = new Worker(new URL('./probe.js', import.meta.url), { workerData: { url, token, intervalMs: 20 } });
  const message = <Value>() =>
    new Promise<Value>((resolve, reject) => void worker.once('message', resolve).once('error', reject));
  await message();
  const report = message<{ latencies: number[]; failures: string[] }>();
  return {
    async stop() {
      worker.postMessage('stop');
      const { latencies, failures } = await report;
      const sorted = latencies.sort((one, other) => one - other);
      const quantile = (share: number) => Math.round(sorted[Math.floor((sorted.length - 1) * share)] ?? 0);
      return { calls: sorted.length, p50: quantile(0.5), p99: quantile(0.99), max: quantile(1), failures };
    },
  };
}

/** Runs an attack for so many milliseconds while somebody else's calls are measured. */
export async function runAttack(
  run: Awaited<ReturnType<Attack['prepare']>>,
  { url, victim, ms, parallel = 4 }: { url: string; victim: Person; ms: number; parallel?: number },
): Promise<Measured & { rounds: number }> {
  const over = new AbortController();
  const probe = await startProbe(url, victim);
  const timer = setTimeout(() => over.abort(), ms);
  let rounds = 0;
  const caller = async () => {
    while (!over.signal.aborted) {
      await run(url, over.signal);
      rounds += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: parallel }, caller));
  } finally {
    clearTimeout(timer);
  }
  return { ...(await probe.stop()), rounds };
}
