import { Prisma } from '../../generated/prisma/client.js';

/**
 * The columns of one table in a statement that joins several: an SQL fragment that selects them, and a function that
 * reads them from a row.
 */
export interface Columns<Part> {
  readonly select: Prisma.Sql;
  /** Reads the columns from a row; undefined if a left join found nothing. */
  of(row: Record<string, unknown>): Part | undefined;
}

/** @param fields the SQL expression of each field. `id` is required: it is null only if a left join found nothing. */
export function columnsOf<Part extends { id: string }>(
  prefix: string,
  fields: Record<keyof Part & string, string>,
): Columns<Part> {
  const named = Object.entries<string>(fields).map(([field, column]) => ({
    field,
    column,
    name: `${prefix}.${field}`,
  }));
  return {
    select: Prisma.raw(named.map(({ column, name }) => `${column} AS "${name}"`).join(', ')),
    of(row) {
      if (row[`${prefix}.id`] === null) return undefined;
      const part: Record<string, unknown> = {};
      for (const { field, name } of named) part[field] = row[name];
      return part as Part;
    },
  };
}
