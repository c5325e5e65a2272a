import { createHash } from 'node:crypto';
import { badInput } from './errors.js';

/** The arguments of a Relay connection, as received from the client. */
export interface PageArgs {
  first?: number | null | undefined;
  after?: string | null | undefined;
  last?: number | null | undefined;
  before?: string | null | undefined;
}

interface Keys {
  int: number;
  text: string;
  uuid: string;
  date: Date;
}

/** The types of the sort keys of a list, the primary key first. */
export type KeyKinds = readonly (keyof Keys)[];

/** The sort keys of a row. */
export type Keyset<Kinds extends KeyKinds = KeyKinds> = { readonly [Index in keyof Kinds]: Keys[Kinds[Index]] };

const valid: { [Kind in keyof Keys]: (value: unknown) => boolean } = {
  int: (value) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
  text: (value) => typeof value === 'string' && !value.includes('\0'),
  uuid: (value) => typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value),
  date: (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 1e14,
};

export interface PageLimits {
  /** The page size if the client specifies none. */
  pageDefault: number;
  /** The maximum of `first` and `last`. */
  pageMax: number;
}

/** The rows to read: `size` rows after the keyset `from` (exclusive), in list order or in reverse. */
export interface PageRequest<Kinds extends KeyKinds = KeyKinds> {
  size: number;
  backward: boolean;
  from: Keyset<Kinds> | undefined;
}

/** A row and its position in the list. */
export interface PageEdge<Row> {
  cursor: string;
  node: Row;
}

export interface Page<Row> {
  edges: PageEdge<Row>[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

/** A short hash that binds a cursor to one list, so that cursors of other lists are rejected. */
const seal = (list: string) => createHash('sha256').update(list).digest('base64url').slice(0, 6);

/** The cursor of the row at `keyset` in the list named `list`. */
export function encodePageCursor(list: string, keyset: Keyset): string {
  const keys = keyset.map((key) => (key instanceof Date ? key.getTime() : key));
  return Buffer.from(JSON.stringify([seal(list), ...keys])).toString('base64url');
}

/** @throws {ChatError} BAD_USER_INPUT for `field` if this is not a cursor of this list. */
function decodePageCursor<Kinds extends KeyKinds>(
  list: string,
  cursor: string,
  kinds: Kinds,
  field: string,
): Keyset<Kinds> {
  let parts: unknown;
  try {
    parts = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    throw badInput(field, 'This is not a valid cursor.');
  }
  const [sealed, ...keys] = Array.isArray(parts) ? (parts as unknown[]) : [];
  if (
    sealed !== seal(list) ||
    keys.length !== kinds.length ||
    !kinds.every((kind, index) => valid[kind](keys[index]))
  ) {
    throw badInput(field, 'This cursor does not belong to this list.');
  }
  const values: unknown = kinds.map((kind, index) => (kind === 'date' ? new Date(keys[index] as number) : keys[index]));
  return values as Keyset<Kinds>;
}

/**
 * Validates the arguments of a connection.
 * @param kinds the types of the sort keys of the list.
 * @param defaultEnd whether a page without `first` and `last` is taken from the start or from the end of the list.
 * @throws {ChatError} BAD_USER_INPUT for the argument: a size out of range, both directions at once, or a cursor of
 *   another list.
 */
export function readPageArgs<const Kinds extends KeyKinds>(
  list: string,
  args: PageArgs,
  kinds: Kinds,
  limits: PageLimits,
  defaultEnd: 'beginning' | 'end' = 'beginning',
): PageRequest<Kinds> {
  for (const name of ['first', 'last'] as const) {
    const size = args[name];
    if (size != null && (size < 1 || size > limits.pageMax)) {
      throw badInput(
        name,
        `\`${name}\` must be between 1 and ${limits.pageMax}.`,
        size > limits.pageMax ? 'pageMax' : undefined,
      );
    }
  }
  if (args.first != null && args.last != null) throw badInput('last', 'Use either `first` or `last`, not both.');
  if (args.after != null && args.before != null) throw badInput('before', 'Use either `after` or `before`, not both.');
  if (args.first != null && args.before != null)
    throw badInput('before', 'Use `before` with `last`, not with `first`.');
  if (args.last != null && args.after != null) throw badInput('after', 'Use `after` with `first`, not with `last`.');
  const backward =
    args.last != null || args.before != null || (defaultEnd === 'end' && args.first == null && args.after == null);
  const [field, cursor] = backward ? (['before', args.before] as const) : (['after', args.after] as const);
  return {
    size: args.first ?? args.last ?? Math.min(limits.pageDefault, limits.pageMax),
    backward,
    from: cursor == null ? undefined : decodePageCursor(list, cursor, kinds, field),
  };
}

/** The same keyset with its date in ISO 8601, for batched loaders, which compare their arguments as JSON. */
export const isoKeyset = (from: Keyset<readonly ['date', 'uuid']> | undefined): readonly [string, string] | null =>
  from ? [from[0].toISOString(), from[1]] : null;

/** A Prisma condition for the rows after a keyset of a list that is ordered by a date and then by an id. */
export function afterKeyset(
  from: Keyset<readonly ['date', 'uuid']> | undefined,
  date: string,
  id: string,
  order: 'oldest first' | 'latest first',
): object {
  if (!from) return {};
  const than = order === 'oldest first' ? 'gt' : 'lt';
  return { OR: [{ [date]: { [than]: from[0] } }, { [date]: from[0], [id]: { [than]: from[1] } }] };
}

/**
 * Builds a page in list order.
 * @param rows up to `size + 1` rows that were read for `request`, in the order of reading (reversed if `backward`). The
 *   additional row shows that there is another page.
 */
export function toPage<Row>(
  list: string,
  request: PageRequest,
  rows: readonly Row[],
  keysetOf: (row: Row) => Keyset,
): Page<Row> {
  const more = rows.length > request.size;
  const nodes = rows.slice(0, request.size);
  if (request.backward) nodes.reverse();
  const edges = nodes.map((node) => ({ cursor: encodePageCursor(list, keysetOf(node)), node }));
  return {
    edges,
    pageInfo: {
      hasNextPage: request.backward ? request.from !== undefined : more,
      hasPreviousPage: request.backward ? more : request.from !== undefined,
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

/** A list of which clients read pages, forward or backward. */
export interface PagedList<Kinds extends KeyKinds, Rows extends readonly unknown[] | null> {
  /** Identifies the list and everything that its order and content depend on, so that its cursors fit no other list. */
  name: string;
  /** The types of its sort keys, the primary key first. */
  keys: Kinds;
  /** Reads up to `size + 1` rows of a page, in the order of reading. Null if the viewer may not see the list. */
  read(page: PageRequest<Kinds>): Promise<Rows>;
  keysetOf(row: NonNullable<Rows>[number]): Keyset<Kinds>;
}

/**
 * Reads a page of a list; null if the viewer may not see it.
 * @throws {ChatError} BAD_USER_INPUT of the arguments, before anything is read.
 */
export async function readPage<const Kinds extends KeyKinds, Rows extends readonly unknown[] | null>(
  args: PageArgs,
  limits: PageLimits,
  { name, keys, read, keysetOf }: PagedList<Kinds, Rows>,
): Promise<Page<NonNullable<Rows>[number]> | Extract<Rows, null>> {
  const page = readPageArgs(name, args, keys, limits);
  const rows = await read(page);
  return rows === null ? (rows as Extract<Rows, null>) : toPage<NonNullable<Rows>[number]>(name, page, rows, keysetOf);
}
