import { rateLimited } from '../core/errors.js';
import type { Context } from '../graphql/context.js';
import { createKeyedQueue } from '../infra/async/keyed-queue.js';
import { createShares, type Usage, whenWithinShare } from '../infra/async/shares.js';
import { sha256 } from '../infra/auth/tokens.js';
import { createCache } from '../infra/cache.js';

/** The time that a WebSocket frame takes in addition to what is measured of its message, in milliseconds. */
const FRAME_MS = 0.05;
/** The time that an HTTP request takes in addition to what is measured: about that of a refused one. */
const REQUEST_MS = 0.2;
/** The time that opening a WebSocket takes. */
const UPGRADE_MS = 0.35;
/** The time that receiving a byte takes. */
const BYTE_MS = 2e-6;
/** The period whose share of the time a client may use at once. */
const AT_ONCE_PERIOD_MS = 1_000;
/** The number of tokens whose owners are remembered, and for how many milliseconds. */
const TOKENS_MAX = 20_000;
const TOKENS_TTL_MS = 60_000;
/** The key of the service key, which has no limit. */
const UNLIMITED = '';

/**
 * Charges the node's time for receiving, reading and refusing requests to the clients that send them: to the user of a valid
 * token, otherwise to the address. HTTP requests and WebSocket messages count together.
 */
export interface RequestTime {
  /** Begins an HTTP request. */
  begin(network: string, authorization: string | undefined): RequestAccount;
  /** Charges the opening of a WebSocket. Returns for how many milliseconds nothing should be read from its client. */
  chargeUpgrade(network: string): number;
  /** Charges a WebSocket frame, `ms` for reading its message, and bytes received; returns the same. */
  chargeFrame(
    identity: Context['identity'] | undefined,
    network: string,
    work: { ms?: number; bytes?: number },
  ): number;
}

/** The account of one HTTP request. */
export interface RequestAccount {
  /**
   * Resolves when the request may be read; undefined if it may be read now. Requests of a client that has used more than
   * its share of the time wait while others use the node.
   * @throws {ChatError} RATE_LIMITED: too many of them are waiting.
   */
  turn(): Promise<void> | undefined;
  /** Charges bytes that were received. */
  chargeBytes(count: number): void;
  /** Runs synchronous work and charges its time. */
  measure<Result>(work: () => Result): Result;
  /** Charges the rest of this request, and later ones with the same token, to the user that the token identifies. */
  identified(identity: Context['identity']): void;
}

/**
 * @param share the part of the node's time that one client may use, from 0 to 1; infinite: nothing is charged.
 * @param waitingMax the number of requests of one client that may wait; further ones are refused.
 * @param identify checks the Authorization header of a request.
 */
export function createRequestTime({
  share,
  waitingMax,
  usage,
  identify,
}: {
  share: number;
  waitingMax: number;
  usage: Usage;
  identify: (authorization: string) => Promise<Context['identity']>;
}): RequestTime {
  const shares = createShares({ share, atOnceMs: share * AT_ONCE_PERIOD_MS });
  const queue = createKeyedQueue({
    atOnce: 1,
    waitingMax,
    refusal: () => rateLimited('Too many requests. Try again in a moment.', 1_000),
  });
  /** The keys of the owners of tokens, by the hashes of the tokens. */
  const owners = createCache<string>(TOKENS_MAX, { ttl: TOKENS_TTL_MS });

  /** Charges an HTTP request. Time that nobody else needs is free. */
  function spend(key: string, ms: number): void {
    if (key !== UNLIMITED && usage.isByOthers(key)) shares.spend(key, ms);
  }

  function begin(network: string, authorization: string | undefined): RequestAccount {
    const token = authorization ? Buffer.from(sha256(authorization)).toString('base64url') : undefined;
    const owner = token === undefined ? undefined : owners.get(token);
    let key = owner ?? addressAccount(network);

    function measure<Result>(work: () => Result): Result {
      const began = performance.now();
      try {
        return work();
      } finally {
        spend(key, performance.now() - began);
      }
    }

    function identified(identity: Context['identity']): void {
      if (token === undefined || !identity || identity instanceof Error) return;
      key = keyOf(identity, network);
      owners.set(token, key);
    }

    async function waitForTurn(): Promise<void> {
      if (authorization && owner === undefined) {
        // If this cannot be determined now, the execution reports it.
        identified(await measure(() => identify(authorization)).catch(() => null));
      }
      const leave = await queue.enter(key);
      try {
        await whenWithinShare(key, shares, usage);
        // Charged before the next request may continue.
        spend(key, REQUEST_MS);
      } finally {
        leave();
      }
    }

    return {
      turn() {
        if (shares.waitOf(key) >= 1) return waitForTurn();
        spend(key, REQUEST_MS);
        return undefined;
      },
      chargeBytes: (count) => spend(key, count * BYTE_MS),
      measure,
      identified,
    };
  }

  return {
    begin: share === Number.POSITIVE_INFINITY ? () => freeAccount : begin,
    chargeUpgrade: (network) => shares.spend(addressAccount(network), UPGRADE_MS),
    chargeFrame(identity, network, { ms = 0, bytes = 0 }) {
      const key = keyOf(identity, network);
      return key === UNLIMITED ? 0 : shares.spend(key, FRAME_MS + ms + bytes * BYTE_MS);
    },
  };
}

/** The key under which those are charged who use an address without a valid token. */
export const addressAccount = (network: string): string => `address ${network}`;

function keyOf(identity: Context['identity'] | undefined, network: string): string {
  if (!identity || identity instanceof Error) return addressAccount(network);
  return identity.isService ? UNLIMITED : identity.userId;
}

const freeAccount: RequestAccount = {
  turn: () => undefined,
  chargeBytes() {},
  measure: (work) => work(),
  identified() {},
};
