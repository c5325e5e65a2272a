import type { Config } from '../infra/config/config.js';

const AT_MOST = 'parley.atMost';

/** The names of settings with a number as their value. */
type Bound = { [Name in keyof Config]: Config[Name] extends number ? Name : never }[keyof Config];

/**
 * The maximum length of a list that is not paginated, for the `extensions` of its field: a number, or the name of the
 * setting that limits it. The cost of an operation is computed with it.
 */
export const atMost = (bound: Bound | number) => ({ [AT_MOST]: bound });

const ASKS = 'parley.asksDatabase';

/**
 * Marks a field that does not return an object but queries the database each time it is selected, for its `extensions`.
 * Fields that return objects are always counted as queries.
 */
export const asksDatabase = { [ASKS]: true };

export const doesAsk = (extensions: Readonly<Record<string, unknown>>): boolean => extensions[ASKS] === true;

/** The maximum length that `atMost` set for a field, or undefined if it is not set. */
export function boundOf(
  extensions: Readonly<Record<string, unknown>>,
  config: Pick<Config, Bound>,
): number | undefined {
  const bound = extensions[AT_MOST] as Bound | number | undefined;
  return typeof bound === 'string' ? config[bound] : bound;
}
