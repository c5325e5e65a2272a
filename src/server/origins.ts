import { parseUrl } from '../core/urls.js';
import type { Config } from '../infra/config/config.js';
import { isOriginAmong } from '../infra/config/origin.js';

/** Whether a page of this origin was loaded from this host. */
export const isFrom = (origin: string, host: string | undefined): boolean => parseUrl(origin)?.host === host;

/**
 * Whether a browser page of this origin may talk to us, over HTTP or WebSocket: one that is configured, where
 * GraphiQL is on the one that it is served from (`host`, of the request), and outside production any of localhost. No origin: not a
 * browser, and free to.
 */
export function isAllowedOrigin(config: Config, origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined || isOriginAmong(config.allowedOrigins, origin)) return true;
  const url = parseUrl(origin);
  if (!url) return false;
  if (config.graphiql && url.host === host) return true;
  return !config.production && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
}
