import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';

/** What only workers read, which look for work every second or two whatever users do. */
const OF_WORKERS = /\b(?:claimed_until|mail_digests|media_deletions|notifier_state|push_jobs)\b/;

/**
 * The SQL statements that the nodes of this process executed while `work` ran, without BEGIN, COMMIT and similar ones, and
 * without those of workers that look for work.
 */
export async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  const undo = [pg.Client.prototype, PGlite.prototype].map((prototype) => {
    const { query } = prototype as unknown as { query(...args: unknown[]): unknown };
    const watched = {
      query(this: unknown, ...args: unknown[]) {
        const [first] = args;
        const text = typeof first === 'string' ? first : (first as { text?: string } | undefined)?.text;
        const isCounted = text !== undefined && !/^(BEGIN|COMMIT|ROLLBACK|SET )/i.test(text) && !OF_WORKERS.test(text);
        if (isCounted) seen.push(text);
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
