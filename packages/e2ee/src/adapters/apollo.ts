import { ApolloLink } from '@apollo/client';
import { concatMap } from 'rxjs';
import type { E2ee } from '../e2ee.js';
import { type DecryptionOptions, decryptData } from './decrypt.js';

export type { DecryptionOptions } from './decrypt.js';

/**
 * A link of an Apollo Client that decrypts the messages in all results, so that the cache contains their `text`. Put it before the
 * link that sends operations.
 */
export function e2eeLink(e2ee: E2ee, options?: DecryptionOptions): ApolloLink {
  return new ApolloLink((operation, forward) =>
    forward(operation).pipe(
      concatMap(async (result) =>
        result.data ? { ...result, data: await decryptData(e2ee, result.data, options) } : result,
      ),
    ),
  );
}
