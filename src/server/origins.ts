import { parseUrl } from '../core/urls.js';
import type { Config } from '../infra/config/config.js';
import { isOriginAmong } from '../infra/config/origin.js';

/** Whether a page of this origin was loaded from this host. */
export const isFrom = (origin: string, host: string | undefined): boolean => parseUrl(origin)?.host === host;

/**
 * Whether a page of this origin is allowed to send requests, over HTTP or WebSocket: if it is configured; if
 * GraphiQL or the web app is enabled and the page comes from this host; or, outside of production, if it comes from
 * localhost. Requests without an origin do not come from a browser and are allowed.
 * @param host the Host header of the request.
 */
export function isAllowedOrigin(config: Config, origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined || isOriginAmong(config.allowedOrigins, origin)) return true;
  const url = parseUrl(origin);
  if (!url) return false;
  if ((config.graphiql || config.web) && url.host === host) return true;
  return !config.production && ['localhost', '127.0.0.1', '[::1]'].includes(url.hostname);
}
