import ipaddr from 'ipaddr.js';

/** The addresses that stand for public IPv4 addresses in networks with NAT64 (RFC 6052). */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96');
/** The global unicast addresses that IANA assigns to networks. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Whether an IP address belongs to the public internet: not to a private network, this machine, a carrier's internal
 * network, a link, a multicast group or a reserved range. An IPv6 address that stands for an IPv4 address (mapped, or
 * translated with NAT64) is judged by the IPv4 address. Other transitional addresses (6to4, Teredo), text that is not an
 * address, and addresses with a zone are not public.
 */
export function isPublicAddress(text: string): boolean {
  // `isValid` also accepts addresses such as `127.1`, but resolvers and `net.isIP` do not return them.
  if (text.includes('%') || !ipaddr.isValid(text)) return false;
  const address = ipaddr.process(text);
  if (address instanceof ipaddr.IPv4) return address.range() === 'unicast';
  if (address.match(NAT64)) return isPublicAddress(new ipaddr.IPv4(address.toByteArray().slice(12)).toString());
  return address.range() === 'unicast' && address.match(GLOBAL_IPV6);
}
