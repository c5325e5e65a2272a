import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey } from 'jose';
import { ChatError } from '../../core/errors.js';
import type { Logger } from '../telemetry/log.js';

/**
 * The age after which the keys are fetched again. A key that the provider has revoked may be accepted for this long.
 */
const MAX_AGE_MS = 10 * 60_000;
/** The minimum time between two fetches, regardless of unknown keys in tokens and of the result of the last fetch. */
const COOLDOWN_MS = 5_000;
/** The time limit of a fetch in milliseconds. */
const TIMEOUT_MS = 3_000;
/** The maximum size of a key set in bytes. */
const MAX_BYTES = 1_048_576;

/**
 * The public keys of a JWKS URL. They are fetched when the first one is needed, when a token names an unknown key, and
 * when they have exceeded their maximum age. Keys that were fetched stay valid while the URL cannot be reached.
 * The returned function throws UNAVAILABLE if a key is unknown and cannot be fetched.
 * @param onFailure called for each failed fetch.
 */
export function createProviderKeys(url: string, log: Logger, onFailure: () => void = () => {}): JWTVerifyGetKey {
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
    // jose's own maximum age would discard valid keys while the provider cannot be reached.
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

/** Reads a key set from a response of limited size. jose validates each key when it is used. */
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
