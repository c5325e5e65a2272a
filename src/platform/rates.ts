import { ChatError } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import type { Config } from '../infra/config/config.js';
import type { Rate } from '../infra/config/kinds.js';
import { createNodeRate, type NodeRate, type SharedRate } from '../infra/rates.js';
import { currentRequest } from '../infra/telemetry/request.js';
import type { Deps, Service } from './deps.js';
import { defineService } from './service.js';
import type { Viewer } from './viewer.js';

/**
 * Defines a rate limit per person, which each node counts on its own. If `rateOf` returns undefined, nothing is
 * limited.
 */
export const definePersonRate = (message: string, rateOf: (config: Config) => Rate | undefined): Service<NodeRate> =>
  defineService('rate per user', ({ config }) => createNodeRate(message, rateOf(config)));

/**
 * Defines a rate limit that is shared by all nodes. If `rateOf` returns undefined, nothing is limited.
 * @param name the unique prefix of its keys in Redis.
 */
export const defineSharedRate = (
  name: string,
  message: string,
  rateOf: (config: Config) => Rate | undefined,
): Service<SharedRate> => defineService(name, ({ config, rateStore }) => rateStore.rate(name, message, rateOf(config)));

/** Limits all mutations of a person except those with a limit of their own. */
export const mutationPerPerson = definePersonRate(
  'You are making changes too quickly. Try again in a moment.',
  ({ rateMutationPerPerson }) => rateMutationPerPerson,
);

/**
 * Counts an action of the viewer. The holder of the service key is not limited, because it acts on behalf of everybody.
 * @throws {ChatError} RATE_LIMITED if the viewer has exceeded the rate.
 */
export function take(deps: Pick<Deps, 'services'>, rate: Service<NodeRate>, { userId, isService }: Viewer): void {
  if (!isService) rate.of(deps).take(userId);
}

/** The network of the client whose request is being served. Undefined in commands and in background work. */
export function clientNetwork(): string | undefined {
  const request = currentRequest();
  return request && networkOf(request.address);
}

/** A rate limit and the key that is counted. */
export type Counted = readonly [rate: SharedRate, ...key: string[]];

/** Counts by the network of the client. Empty when no request is being served. */
export const byAddress = (rate: SharedRate): Counted[] => {
  const network = clientNetwork();
  return network === undefined ? [] : [[rate, network]];
};

/**
 * Counts one call against all of these limits, or against none if one of them is exceeded.
 * @throws {ChatError} RATE_LIMITED with the longest wait of the limits that are exceeded.
 */
export async function takeAll(counted: readonly Counted[]): Promise<void> {
  const outcomes = await Promise.allSettled(counted.map(([rate, ...key]) => rate.take(...key)));
  const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  if (refusals.length === 0) return;
  await refund(counted.filter((_each, index) => outcomes[index]?.status === 'fulfilled'));
  const waitOf = (error: unknown) => (error instanceof ChatError ? (error.retryAfterMs ?? 0) : Infinity);
  throw refusals.reduce((one, other) => (waitOf(other) > waitOf(one) ? other : one));
}

async function refund(counted: readonly Counted[]): Promise<void> {
  await Promise.all(counted.map(([rate, ...key]) => rate.refund(...key)));
}

/**
 * Runs `work` and counts it only if it fails. It is counted before it runs, so that concurrent calls cannot exceed the
 * limit, and the count is reverted if it succeeds or fails for a reason that does not count. For each key only a part
 * of the rate is in progress at once; further calls wait for a moment, so that concurrent calls that will succeed are
 * not rejected.
 * @throws {ChatError} RATE_LIMITED if one of the limits is exceeded.
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
      await refund(counted);
      return result;
    } catch (error) {
      if (!isFailure(error)) await refund(counted);
      throw error;
    }
  };
  // Deadlocks are impossible, because all callers pass their rates in the same order.
  const limited = counted.reduceRight(
    (inner, [rate, ...key]) =>
      () =>
        rate.runLimited(key, inner),
    counting,
  );
  return limited();
}
