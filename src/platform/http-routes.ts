import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Config } from '../infra/config/config.js';
import type { Deps } from './deps.js';
import { defineExtensionPoint } from './feature.js';

/** Paths of a feature that stream bytes, which GraphQL cannot do. */
export interface HttpRoute {
  /** The prefix of the paths, such as `/media/`. */
  readonly prefix: string;
  /** The methods that pages of other origins may use (CORS). */
  readonly methods: readonly string[];
  /**
   * How many bytes per second a client has to send on average after `REQUEST_TIMEOUT`. Without it, a request must have arrived
   * completely by then.
   */
  readonly bytesPerSecondMin?: (config: Config) => number;
  /** The headers of responses that pages of other origins may read (CORS). */
  readonly exposedHeaders: readonly string[];
  /**
   * Responds to a request. Preflights have been answered, and the headers of CORS have been set if the origin is allowed.
   * @param path the path after the prefix, as the client sent it.
   * @throws {ChatError} which is sent in the format of GraphQL's errors, with the status that belongs to its code.
   */
  respond(
    deps: Deps,
    request: { req: IncomingMessage; res: ServerResponse; path: string; query: URLSearchParams },
  ): Promise<void>;
}

export const httpRoutes = defineExtensionPoint<HttpRoute>('routes');
