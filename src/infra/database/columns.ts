import { Prisma } from '../../generated/prisma/client.js';

/** Columns of one table in a statement that joins several: what selects them, and what takes them out of a row. */
export interface Columns<Part> {
  readonly select: Prisma.Sql;
  /** Undefined when a left join found nothing. */
  of(row: Record<string, unknown>): Part | undefined;
}

/** `fields`: for each field the expression that it is. One of them is `id`, which is null only in no row at all. */
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
