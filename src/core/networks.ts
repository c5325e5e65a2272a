import { parseUrl } from './urls.js';

/**
 * What counts as one client of an IP address: IPv4 as it is, of IPv6 the first 64 bits, of which every connection at home
 * has at least one block. Text that is no address is itself.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  // Without the zone of a link-local one (%eth0), which is of this machine.
  const url = parseUrl(`http://[${address.replace(/%.*$/, '')}]`);
  if (!url) return address;
  // As URLs write it: lower case, no leading zeros, no dotted end.
  const [head = '', tail] = url.hostname.slice(1, -1).split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array<string>(zeros).fill('0'), ...after];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
