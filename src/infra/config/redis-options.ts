import { isIP } from 'node:net';
import type { RedisOptions } from 'ioredis';
import { parseUrl } from '../../core/urls.js';

/**
 * Parses the URL of Redis: `redis://user:password@host:6379/db`, `rediss://` for TLS, or a Unix socket,
 * `unix:///path/to/redis.sock?db=1` (also `redis+unix:`, with `username` and `password` as parameters). Certificates of
 * a private authority are trusted with NODE_EXTRA_CA_CERTS, as for all connections of Node.
 * @returns undefined if the URL has another form.
 */
export function redisOptions(text: string): RedisOptions | undefined {
  const url = parseUrl(text);
  if (!url) return undefined;
  const isSocket = ['unix:', 'redis+unix:'].includes(url.protocol);
  if (!isSocket && !['redis:', 'rediss:'].includes(url.protocol)) return undefined;
  const database = (isSocket ? undefined : url.pathname.slice(1)) || url.searchParams.get('db') || '0';
  if (!/^\d{1,9}$/.test(database)) return undefined;
  const username = decodeURIComponent(url.username) || url.searchParams.get('username');
  const password = decodeURIComponent(url.password) || url.searchParams.get('password');
  const account = { ...(username && { username }), ...(password && { password }), db: Number(database) };
  if (isSocket) {
    const path = decodeURIComponent(url.pathname);
    return url.host === '' && path.length > 1 ? { ...account, path } : undefined;
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1') || 'localhost';
  return {
    ...account,
    host,
    port: url.port === '' ? 6379 : Number(url.port),
    // Both IPv4 and IPv6: by default, ioredis resolves IPv4 addresses only.
    family: 0,
    ...(url.protocol === 'rediss:' && { tls: isIP(host) === 0 ? { servername: host } : {} }),
  };
}
