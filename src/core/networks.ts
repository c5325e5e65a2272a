import { parseUrl } from './urls.js';

/**
 * The network that counts as one client: an IPv4 address, or the first 64 bits of an IPv6 address, because every
 * customer of a provider gets at least such a block. Other text is returned unchanged.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  // The zone of a link-local address (%eth0) is only meaningful on this machine.
  const url = parseUrl(`http://[${address.replace(/%.*$/, '')}]`);
  if (!url) return address;
  // The hostname of a URL is normalized: lower case, no leading zeros, no embedded IPv4 notation.
  const [head = '', tail] = url.hostname.slice(1, -1).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
