import { createHash } from 'node:crypto';
import { badInput } from './errors.js';

/** The arguments of a Relay connection, as a client gave them. */
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

/** What the place of a row in its list is made of, the deciding value first. */
export type KeyKinds = readonly (keyof Keys)[];

/** The values of a row that its place is made of. */
export type Keyset<Kinds extends KeyKinds = KeyKinds> = { readonly [Index in keyof Kinds]: Keys[Kinds[Index]] };

const valid: { [Kind in keyof Keys]: (value: unknown) => boolean } = {
  int: (value) => Number.isInteger(value) && Math.abs(value as number) < 2 ** 31,
  text: (value) => typeof value === 'string' && !value.includes('\0'),
  uuid: (value) => typeof value === 'string' && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value),
  date: (value) => Number.isInteger(value) && (value as number) >= 0 && (value as number) < 1e14,
};

export interface PageLimits {
  /** The page's size when the client gives none. */
  pageDefault: number;
  /** The largest `first` or `last`. */
  pageMax: number;
}

/** What to read: `size` rows beyond the keyset `from` (exclusive), in list order or against it. */
export interface PageRequest<Kinds extends KeyKinds = KeyKinds> {
  size: number;
  backward: boolean;
  from: Keyset<Kinds> | undefined;
}

export interface Page<Row> {
  edges: { cursor: string; node: Row }[];
  pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string | null; endCursor: string | null };
}

/** What binds a cursor to one list, in few bytes: a cursor of another list is recognized as foreign. */
const seal = (list: string) => createHash('sha256').update(list).digest('base64url').slice(0, 6);

/** The cursor of the row at `keyset` in the list named `list`. */
function encodePageCursor(list: string, keyset: Keyset): string {
  const keys = keyset.map((key) => (key instanceof Date ? key.getTime() : key));
  return Buffer.from(JSON.stringify([seal(list), ...keys])).toString('base64url');
}

/** @throws {ChatError} BAD_USER_INPUT with `field`, when it is no cursor of this list. */
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
 * Checks a connection's arguments. `kinds` is what a place in this list is made of; `whole` says whether a page asked for without `first` and `last` is the beginning or the end of the list.
 * @throws {ChatError} BAD_USER_INPUT with the argument as field: a size out of bounds, both directions at once,
 *   a cursor that is not of this list.
 */
export function readPageArgs<const Kinds extends KeyKinds>(
  list: string,
  args: PageArgs,
  kinds: Kinds,
  limits: PageLimits,
  whole: 'beginning' | 'end' = 'beginning',
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
    args.last != null || args.before != null || (whole === 'end' && args.first == null && args.after == null);
  const [field, cursor] = backward ? (['before', args.before] as const) : (['after', args.after] as const);
  return {
    size: args.first ?? args.last ?? Math.min(limits.pageDefault, limits.pageMax),
    backward,
    from: cursor == null ? undefined : decodePageCursor(list, cursor, kinds, field),
  };
}

/** What is behind a place in a list that is ordered by a date and then an id, as a condition of the database client's. */
export function behind(
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
 * A page in list order, of `rows` read for `request`: up to `size + 1` of them, in the order of reading
 * (against the list's order when `backward`). The one too many says that there is more.
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
