import { parseUrl } from '../../core/urls.js';

/** Schemes whose port is left out of an origin when it is this one. */
const defaultPorts: Record<string, string> = { 'http:': '80', 'https:': '443' };

/**
 * An origin as browsers send it: lower case, without a slash at the end and without the scheme's own port. Origins of
 * apps are origins too: `capacitor://localhost`, `tauri://localhost`, `app://host`, `chrome-extension://id`. Of http and
 * https the first label may be `*`, for any labels before a domain of at least two (or `localhost`).
 * @returns undefined for what is no origin: another path than `/`, credentials, `null`, a star elsewhere.
 */
export function canonicalOrigin(text: string): string | undefined {
  const [, scheme = '', authority = ''] = /^([a-z][a-z\d+.-]*:)\/\/([^/?#@\\\s]+)\/?$/i.exec(text) ?? [];
  const protocol = scheme.toLowerCase();
  if (authority === '' || protocol === 'file:') return undefined;
  const isWildcard = authority.startsWith('*.');
  const given = isWildcard ? authority.slice(2) : authority;
  if (given.includes('*') || !parseUrl(`${protocol}//${given}`)) return undefined;
  const isWeb = protocol in defaultPorts;
  // Names of hosts are normalized by the parser for http and https only.
  const { hostname, port } = new URL(`${isWeb ? protocol : 'parley:'}//${given.toLowerCase()}`);
  if (hostname === '') return undefined;
  if (isWildcard && (!isWeb || !/^(?:localhost|(?:[a-z\d_-]+\.)+[a-z][a-z\d-]*)$/.test(hostname))) return undefined;
  return `${protocol}//${isWildcard ? '*.' : ''}${hostname}${port === '' ? '' : `:${port}`}`;
}

/** Whether an origin is one of these canonical ones, or matches one with `*.`: by at least one label before its domain. */
export function isOriginAmong(allowed: readonly string[], origin: string): boolean {
  const canonical = canonicalOrigin(origin);
  if (canonical === undefined || canonical.includes('*')) return false;
  return allowed.some((each) => {
    const at = each.indexOf('*.');
    if (at < 0) return each === canonical;
    const [before, after] = [each.slice(0, at), each.slice(at + 1)];
    const labels = canonical.slice(before.length, -after.length);
    return canonical.startsWith(before) && canonical.endsWith(after) && /^[a-z\d_-]+(?:\.[a-z\d_-]+)*$/.test(labels);
  });
}
