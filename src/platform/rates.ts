import { ChatError } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import type { Config } from '../infra/config/config.js';
import type { Rate } from '../infra/config/kinds.js';
import { createNodeRate, type NodeRate, type SharedRate } from '../infra/rates.js';
import { currentRequest } from '../infra/telemetry/request.js';
import type { Deps } from './deps.js';
import { defineService, type Service } from './service.js';
import type { Viewer } from './viewer.js';

/** Defines a rate limit of one person, which each node counts by itself. Without a rate nothing is limited. */
export const definePersonRate = (message: string, rateOf: (config: Config) => Rate | undefined): Service<NodeRate> =>
  defineService('a rate per person', ({ config }) => createNodeRate(message, rateOf(config)));

/**
 * Defines a rate limit that all nodes count together. Without a rate nothing is limited.
 * @param name of its keys in Redis; unique.
 */
export const defineSharedRate = (
  name: string,
  message: string,
  rateOf: (config: Config) => Rate | undefined,
): Service<SharedRate> => defineService(name, ({ config, rateStore }) => rateStore.rate(name, message, rateOf(config)));

/** All mutations of one person but those with a rate of their own. */
export const mutationPerPerson = definePersonRate(
  'You are making changes too quickly. Try again in a moment.',
  ({ rateMutationPerPerson }) => rateMutationPerPerson,
);

/** Counts what somebody does. The backend with the service key is not limited: it acts for everybody. */
export function take(deps: Pick<Deps, 'services'>, rate: Service<NodeRate>, { userId, isService }: Viewer): void {
  if (!isService) rate.of(deps).take(userId);
}

/** Whose request it is, as far as addresses tell; undefined in commands and in work of the node's own. */
export function clientNetwork(): string | undefined {
  const request = currentRequest();
  return request && networkOf(request.address);
}

/** A rate, and of what. */
export type Counted = readonly [rate: SharedRate, ...key: string[]];

/** Counts what comes from the client's address. */
export const byAddress = (rate: SharedRate): Counted[] => {
  const network = clientNetwork();
  return network === undefined ? [] : [[rate, network]];
};

/**
 * Counts one call on all of these, or on none.
 * @throws {ChatError} RATE_LIMITED: over one of them; of several, the longest wait.
 */
export async function takeAll(counted: readonly Counted[]): Promise<void> {
  const outcomes = await Promise.allSettled(counted.map(([rate, ...key]) => rate.take(...key)));
  const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (refusals.length === 0) return;
  await giveBack(counted.filter((_each, index) => outcomes[index]?.status === 'fulfilled'));
  const waitOf = (error: unknown) => (error instanceof ChatError ? (error.retryAfterMs ?? 0) : Infinity);
  throw refusals.reduce((one, other) => (waitOf(other) > waitOf(one) ? other : one));
}

async function giveBack(counted: readonly Counted[]): Promise<void> {
  await Promise.all(counted.map(([rate, ...key]) => rate.giveBack(...key)));
}

/**
 * Does what may fail, counting only failures; before it is done, so that many at once are not more than many one after
 * another. What fails for another reason, or is refused by one of the rates, is not counted. Of one key only a part of
 * the rate is in progress at once, and further calls wait for a moment: many calls that will succeed refuse nobody.
 * @throws {ChatError} RATE_LIMITED
 */
export async function countingFailures<T>(
  counted: readonly Counted[],
  isFailure: (error: unknown) => boolean,
  work: () => Promise<T>,
): Promise<T> {
  const counting = async () => {
    await takeAll(counted);
    try {
      const result = await work();
      await giveBack(counted);
      return result;
    } catch (error) {
      if (!isFailure(error)) await giveBack(counted);
      throw error;
    }
  };
  // All callers name their rates in the same order, so no two wait for each other.
  const inTurn = counted.reduceRight(
    (inner, [rate, ...key]) =>
      () =>
        rate.inTurn(key, inner),
    counting,
  );
  return inTurn();
}
