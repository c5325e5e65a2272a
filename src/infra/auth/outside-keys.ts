import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import { ChatError } from '../../core/errors.js';
import type { Logger } from '../telemetry/log.js';

/** How old the provider's keys may be before they are fetched anew: so long a key that it took back may still count. */
const MAX_AGE_MS = 10 * 60_000;
/** Least time between two fetches, whatever unknown keys tokens name, and whether or not the last one succeeded. */
const COOLDOWN_MS = 5_000;
/** How long a fetch may take. */
const TIMEOUT_MS = 3_000;
/** Largest set of keys. */
const MAX_BYTES = 1_048_576;

/**
 * The public keys at an address, fetched when one is first needed, when a token names one that is not among them, and
 * when they have grown old. Keys that were fetched once stay good while the address cannot be reached.
 * What it returns throws UNAVAILABLE for a key that it neither has nor can fetch. `onFailure` is called for each fetch that
 * fails.
 */
export function createOutsideKeys(url: string, log: Logger, onFailure: () => void = () => {}): JWTVerifyGetKey {
  let fetchedAt: number | undefined;
  let failure: { at: number; error: ChatError } | undefined;

  async function fetchKeys(address: string, options: RequestInit): Promise<Response> {
    if (failure && Date.now() < failure.at + COOLDOWN_MS) throw failure.error;
    try {
      const keys = await readKeys(await fetch(address, options));
      fetchedAt = Date.now();
      failure = undefined;
      return Response.json(keys);
    } catch (cause) {
      onFailure();
      log.warn({ err: cause, url }, 'keys of the identity provider could not be fetched');
      const details = { cause, retryAfterMs: COOLDOWN_MS };
      const error = new ChatError(
        'UNAVAILABLE',
        'The token cannot be verified at the moment. Try again later.',
        details,
      );
      failure = { at: Date.now(), error };
      throw error;
    }
  }

  const keys = createRemoteJWKSet(new URL(url), {
    // Its own age would make good keys useless while the provider is down.
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: COOLDOWN_MS,
    timeoutDuration: TIMEOUT_MS,
    [customFetch]: fetchKeys,
  });
  return async (header, token) => {
    if (fetchedAt !== undefined && Date.now() > fetchedAt + MAX_AGE_MS) await keys.reload().catch(() => {});
    return keys(header, token);
  };
}

/** A set of keys from an answer of moderate size; jose looks at each key when it is used. */
async function readKeys(response: Response): Promise<{ keys: object[] }> {
  if (response.status !== 200) {
    await response.body?.cancel();
    throw new errors.JOSEError(`The server responded with status ${response.status} instead of a key set.`);
  }
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_BYTES) throw new errors.JWKSInvalid('The key set is too large.');
    chunks.push(chunk);
  }
  const set = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { keys?: unknown } | null;
  const isKey = (key: unknown): key is object => typeof key === 'object' && key !== null && !Array.isArray(key);
  if (!Array.isArray(set?.keys) || !set.keys.every(isKey))
    throw new errors.JWKSInvalid('The response is not a key set.');
  return { keys: set.keys };
}
