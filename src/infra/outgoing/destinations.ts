import { isIP } from 'node:net';
import { parseUrl } from '../../core/urls.js';
import { canonicalOrigin } from '../config/origin.js';

/**
 * How a destination may be reached: `PUBLIC` at addresses of the public internet only, `TRUSTED` at any address,
 * because the operator has named the origin.
 */
type Reach = 'PUBLIC' | 'TRUSTED';

/**
 * The servers to which users may make a node send requests. A pattern is the name of a host (`push.example.com`), a name
 * with `*.` for all hosts below a domain, `*` for all hosts, or an origin (`http://10.0.0.5:8080`). Hosts are reached with
 * https on any port and at public addresses. An origin is trusted: it can use http and a private address.
 */
export interface Destinations {
  /** How this URL may be reached; undefined if it may not. URLs with credentials are never accepted. */
  reachOf(url: URL): Reach | undefined;
}

/** The pattern in lower case; undefined if it is not valid. */
export function readDestination(text: string): string | undefined {
  if (text.includes('://')) {
    const origin = canonicalOrigin(text);
    return origin !== undefined && /^https?:/.test(origin) && !origin.includes('*') ? origin : undefined;
  }
  if (text === '*') return text;
  const name = text.replace(/^\*\./, '');
  const hostname = parseUrl(`https://${name}`)?.hostname;
  // Only names: an IP address must be given as an origin, so that it is clear that it is trusted.
  if (hostname === undefined || !/^[\p{L}\p{N}_.-]+$/u.test(name) || isIP(hostname) !== 0) return undefined;
  return text.startsWith('*.') ? `*.${hostname}` : hostname;
}

/** @param patterns as returned by `readDestination`. */
export function createDestinations(patterns: readonly string[]): Destinations {
  const trusted = new Set(patterns.filter((pattern) => pattern.includes('://')));
  const hosts = new Set(patterns.filter((pattern) => !pattern.includes('://') && !pattern.startsWith('*')));
  const domains = patterns.filter((pattern) => pattern.startsWith('*.')).map((pattern) => pattern.slice(1));
  const isAnyHost = patterns.includes('*');
  return {
    reachOf(url) {
      if (url.username !== '' || url.password !== '') return undefined;
      if (trusted.has(url.origin)) return 'TRUSTED';
      if (url.protocol !== 'https:') return undefined;
      // A name can be written with a dot at its end.
      const host = url.hostname.replace(/\.$/, '');
      const isAllowed = isAnyHost || hosts.has(host) || domains.some((domain) => host.endsWith(domain));
      return isAllowed ? 'PUBLIC' : undefined;
    },
  };
}
