import { parseUrl } from '../../core/urls.js';

/** The default ports, which are omitted in origins. */
const defaultPorts: Record<string, string> = { 'http:': '80', 'https:': '443' };

/**
 * Normalizes an origin to the form that browsers send: lower case, without a trailing slash and without the default
 * port. The schemes of apps are supported: `capacitor://localhost`, `tauri://localhost`, `app://host`,
 * `chrome-extension://id`. For http and https, the first label can be `*`, which stands for one or more labels before a
 * domain of at least two labels (or `localhost`).
 * @returns undefined if the text is not an origin: it has a path other than `/`, credentials, or a `*` elsewhere, or is
 *   `null`.
 */
export function canonicalOrigin(text: string): string | undefined {
  const [, scheme = '', authority = ''] = /^([a-z][a-z\d+.-]*:)\/\/([^/?#@\\\s]+)\/?$/i.exec(text) ?? [];
  const protocol = scheme.toLowerCase();
  if (authority === '' || protocol === 'file:') return undefined;
  const isWildcard = authority.startsWith('*.');
  const given = isWildcard ? authority.slice(2) : authority;
  if (given.includes('*') || !parseUrl(`${protocol}//${given}`)) return undefined;
  const isWeb = protocol in defaultPorts;
  // The URL parser normalizes host names only for http and https.
  const { hostname, port } = new URL(`${isWeb ? protocol : 'parley:'}//${given.toLowerCase()}`);
  if (hostname === '') return undefined;
  if (isWildcard && (!isWeb || !/^(?:localhost|(?:[a-z\d_-]+\.)+[a-z][a-z\d-]*)$/.test(hostname))) return undefined;
  return `${protocol}//${isWildcard ? '*.' : ''}${hostname}${port === '' ? '' : `:${port}`}`;
}

/**
 * Whether an origin is in the list of normalized origins, or matches an entry with `*.`, which requires at least one
 * label.
 */
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
