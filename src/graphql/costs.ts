import type { Config } from '../infra/config/config.js';

const AT_MOST = 'parley.atMost';

/** Names of settings that are numbers. */
type Bound = { [Name in keyof Config]: Config[Name] extends number ? Name : never }[keyof Config];

/**
 * On a field that answers a list without pages (its `extensions`): how long the list can be, as a number or as the
 * setting that bounds it. The cost of an operation counts with it.
 */
export const atMost = (bound: Bound | number) => ({ [AT_MOST]: bound });

const ASKS = 'parley.asksDatabase';

/**
 * On a field that answers no object and yet asks the database each time it stands in an operation (its `extensions`).
 * Fields that answer objects count as asking anyway.
 */
export const asksDatabase = { [ASKS]: true };

export const doesAsk = (extensions: Readonly<Record<string, unknown>>): boolean => extensions[ASKS] === true;

/** What `atMost` says of a field; undefined where nothing was said. */
export function boundOf(
  extensions: Readonly<Record<string, unknown>>,
  config: Pick<Config, Bound>,
): number | undefined {
  const bound = extensions[AT_MOST] as Bound | number | undefined;
  return typeof bound === 'string' ? config[bound] : bound;
}
