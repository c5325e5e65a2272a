import { ChatError } from '../core/errors.js';
import { networkOf } from '../core/networks.js';
import type { Config } from '../infra/config/config.js';
import { createNodeRate, type NodeRate, type RateStore, type SharedMemory, type SharedRate } from '../infra/rates.js';
import { currentRequest } from '../infra/telemetry/request.js';
import type { Viewer } from './viewer.js';

/** What is limited in time. Another limit is a setting, a line here, and a call where it counts. */
export interface RateLimits {
  signInPerAddress: SharedRate;
  signInPerAccount: SharedRate;
  signInPerAccountAndAddress: SharedRate;
  /** Sessions that are begun with the right password: counted after it was checked, so nobody else uses them up. */
  sessionPerAccount: SharedRate;
  /** At which addresses an account has been signed in to: there nobody else can use up its tries. */
  signedInAt: SharedMemory;
  registrationPerAddress: SharedRate;
  passwordResetPerAddress: SharedRate;
  refreshPerAddress: SharedRate;
  refreshPerSession: SharedRate;
  sendPerPerson: NodeRate;
  mutationPerPerson: NodeRate;
  openDirectPerPerson: NodeRate;
  searchPerPerson: NodeRate;
}

export function createRateLimits(store: RateStore, { rates, refreshTokenTtlMs }: Config): RateLimits {
  const signIns = 'Too many sign-ins with a wrong password: try again later.';
  const refreshes = 'Too many refreshes: try again later.';
  return {
    signInPerAddress: store.rate('sign-in-address', signIns, rates.signInPerAddress),
    signInPerAccount: store.rate('sign-in-account', signIns, rates.signInPerAccount),
    signInPerAccountAndAddress: store.rate('sign-in-account-address', signIns, rates.signInPerAccountAndAddress),
    sessionPerAccount: store.rate(
      'session-account',
      'Too many sign-ins of this account: try again later.',
      rates.sessionPerAccount,
    ),
    // As long as somebody stays signed in there who does nothing.
    signedInAt: store.memory('signed-in-at', rates.signInPerAccount && refreshTokenTtlMs),
    registrationPerAddress: store.rate(
      'registration-address',
      'Too many registrations from this address: try again later.',
      rates.registrationPerAddress,
    ),
    passwordResetPerAddress: store.rate(
      'password-reset-address',
      'Too many ask for new passwords from this address: try again later.',
      rates.passwordResetPerAddress,
    ),
    refreshPerAddress: store.rate('refresh-address', refreshes, rates.refreshPerAddress),
    refreshPerSession: store.rate('refresh-session', refreshes, rates.refreshPerSession),
    sendPerPerson: createNodeRate('Too many messages: send this one a moment later.', rates.sendPerPerson),
    mutationPerPerson: createNodeRate('Too many changes: try again a moment later.', rates.mutationPerPerson),
    openDirectPerPerson: createNodeRate(
      'Too many new direct conversations: begin this one later.',
      rates.openDirectPerPerson,
    ),
    searchPerPerson: createNodeRate('Too many searches: try again a moment later.', rates.searchPerPerson),
  };
}

/** Counts what somebody does. The backend with the service key is not limited: it acts for everybody. */
export function take(rate: NodeRate, { userId, isService }: Viewer): void {
  if (!isService) rate.take(userId);
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
