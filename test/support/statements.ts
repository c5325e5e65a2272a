import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';
import type { RunningNode } from '../../src/server/start.js';

/** The tables that only workers read, which check for work every second or two. */
const OF_WORKERS =
  /\b(?:claimed_until|call_signals|mail_digests|media_deletions|notifier_state|push_badge_jobs|push_jobs|push_positions|ring_until)\b/;

/**
 * The SQL statements that were executed on the database of a node while `work` ran, without BEGIN, COMMIT and similar
 * ones, and without those of workers that check for work.
 */
export async function statementsOf(
  { deps: { config } }: Pick<RunningNode, 'deps'>,
  work: () => Promise<unknown>,
): Promise<string[]> {
  const seen: string[] = [];
  const name = config.databaseUrl && new URL(config.databaseUrl).pathname.slice(1);
  const isOfNode = (connection: { database?: string; dataDir?: string }) =>
    name === undefined ? connection.dataDir === join(config.dataDir, 'pg') : connection.database === name;
  const undo = [pg.Client.prototype, PGlite.prototype].map((prototype) => {
    const { query } = prototype as unknown as { query(...args: unknown[]): unknown };
    const watched = {
      query(this: object, ...args: unknown[]) {
        const [first] = args;
        const text = typeof first === 'string' ? first : (first as { text?: string } | undefined)?.text;
        const isCounted = text !== undefined && !/^(BEGIN|COMMIT|ROLLBACK|SET )/i.test(text) && !OF_WORKERS.test(text);
        if (isCounted && isOfNode(this)) seen.push(text);
        return query.apply(this, args);
      },
    };
    return [Object.assign(prototype, watched), { query }] as const;
  });
  try {
    await work();
  } finally {
    for (const [prototype, original] of undo) Object.assign(prototype, original);
  }
  return seen;
}
