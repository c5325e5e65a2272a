import { fork } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { RunningNode } from '../../src/server/start.js';
import type { Person } from './client.js';
import { atEnd } from './ending.js';

/**
 * Set by `npm run test:attacks`: each attack lasts as long as documented in docs/SECURITY.md, and latencies are
 * asserted.
 */
const longForm = process.env['ATTACKS'] === 'long';
export const attackForm = <Value>(short: Value, long: Value): Value => (longForm ? long : short);

/** Actions of one hostile account or anonymous client within the default limits. */
export interface Attack {
  name: string;
  /** The kind of attack in attacker.js; the default is `post`. */
  kind?: 'post' | 'longIds' | 'connections' | 'pings' | 'unreadableStreams' | 'subscriptions';
  /**
   * Prepares the attack on a node of the same database that has no rate limits and is stopped afterwards. This is not
   * measured.
   * @returns what attacker.js needs to carry it out, as JSON.
   */
  prepare(node: RunningNode): Promise<Plan>;
  /** The number of concurrent callers; the default is 4. */
  parallel?: number;
}

/** The input of attacker.js. */
export interface Plan {
  token?: string;
  /** For `post`: what is sent in turn; a text is sent unchanged. */
  requests?: ({ query: string; variables?: object } | string)[];
  [more: string]: unknown;
}

/** The latencies, in milliseconds, of calls of another user during the attack. */
export interface Measured {
  calls: number;
  p50: number;
  p99: number;
  max: number;
  /** The reasons of failed calls. */
  failures: string[];
}

/**
 * Sends `{ __typename }` and `{ viewer { id } }` in turn, 50 times a second, from a separate thread. Resolves after the
 * first responses, which are not measured.
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

/** Runs an attack in a process of its own for `ms` milliseconds while calls of another user are measured. */
export async function runAttack(
  { kind = 'post', parallel = 4 }: Attack,
  plan: Plan,
  { url, victim, ms }: { url: string; victim: Person; ms: number },
): Promise<Measured & { rounds: number }> {
  const attacker = fork(new URL('./attacker.js', import.meta.url), { execArgv: [] });
  atEnd(() => attacker.kill('SIGKILL'));
  const [probe] = await Promise.all([startProbe(url, victim), once(attacker, 'spawn')]);
  const ended = once(attacker, 'message');
  attacker.send({ kind, plan, url, ms, parallel });
  const [{ rounds, error }] = (await ended) as [{ rounds: number; error?: string }];
  const measured = await probe.stop();
  if (error !== undefined) throw new Error(error);
  return { ...measured, rounds };
}
