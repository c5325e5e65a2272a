import { type Exchange, mapExchange, type OperationResult } from '@urql/core';
import type { E2ee } from '../e2ee.js';
import { type DecryptionOptions, decryptData } from './decrypt.js';

export type { DecryptionOptions } from './decrypt.js';

/**
 * An exchange of a urql client that decrypts the messages in all results. Put it after the exchange of the cache, which then
 * contains their `text`.
 */
export function e2eeExchange(e2ee: E2ee, options?: DecryptionOptions): Exchange {
  /** The last result of each operation: the results of a subscription stay in their order. */
  const last = new Map<number, Promise<unknown>>();
  return mapExchange({
    onResult(result): Promise<OperationResult> | undefined {
      if (!result.data) return undefined;
      const { key } = result.operation;
      const decrypt = async () => ({ ...result, data: await decryptData(e2ee, result.data, options) });
      const decrypted = (last.get(key) ?? Promise.resolve()).then(decrypt);
      last.set(key, decrypted);
      void decrypted.then(() => {
        if (last.get(key) === decrypted) last.delete(key);
      });
      return decrypted;
    },
  });
}
