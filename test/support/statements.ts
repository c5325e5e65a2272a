import { PGlite } from '@electric-sql/pglite';
import pg from 'pg';

/**
 * The SQL statements that the nodes of this process executed while `work` ran, without BEGIN, COMMIT and similar ones.
 */
export async function statementsOf(work: () => Promise<unknown>): Promise<string[]> {
  const seen: string[] = [];
  const undo = [pg.Client.prototype, PGlite.prototype].map((prototype) => {
    const { query } = prototype as unknown as { query(...args: unknown[]): unknown };
    const watched = {
      query(this: unknown, ...args: unknown[]) {
        const [first] = args;
        const text = typeof first === 'string' ? first : (first as { text?: string } | undefined)?.text;
        if (text !== undefined && !/^(BEGIN|COMMIT|ROLLBACK|SET )/i.test(text)) seen.push(text);
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
