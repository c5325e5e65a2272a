import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddr from 'proxy-addr';
import type { Config } from '../infra/config/config.js';
import type { Logger } from '../infra/telemetry/log.js';

/**
 * Returns the client's address of a request: the first address, starting from the socket, that is not a trusted proxy.
 */
export type AddressOf = (request: IncomingMessage) => string;

/**
 * Creates the function that determines clients' addresses.
 * @param log receives one warning if an untrusted address in a private network sends X-Forwarded-For, because it may be
 *   a proxy that is missing in TRUSTED_PROXIES.
 */
export function createAddressOf({ trustedProxies }: Pick<Config, 'trustedProxies'>, log: Logger): AddressOf {
  const trusted = proxyAddr.compile([...trustedProxies]);
  const isNear = proxyAddr.compile(['loopback', 'linklocal', 'uniquelocal']);
  let isTold = false;
  const lookForForgotten = (own: string) => {
    if (trusted(own, 0) || !isNear(own, 0)) return;
    isTold = true;
    log.warn(
      { proxy: plain(own) },
      'X-Forwarded-For ignored: it was sent by an address that is not in TRUSTED_PROXIES; if that is a proxy, all its clients share one address',
    );
  };
  return (request) => {
    const own = request.socket.remoteAddress;
    // A closed socket has no address.
    if (own === undefined) return '';
    if (!isTold && request.headers['x-forwarded-for'] !== undefined) lookForForgotten(own);
    let address = own;
    // Each trusted proxy names the address before it, starting from the socket. Addresses that an untrusted one names
    // are ignored.
    for (const [index, named] of forwardedFor(request).reverse().entries()) {
      if (named === undefined || !trusted(address, index)) break;
      address = named;
    }
    return plain(address);
  };
}

/** The addresses in X-Forwarded-For, with undefined for entries that are not addresses (`unknown`). */
function forwardedFor({ headers }: IncomingMessage): (string | undefined)[] {
  const header = String(headers['x-forwarded-for'] ?? '');
  return header === '' ? [] : header.split(',').map(addressIn);
}

/** The address in an entry, which some proxies write with a port or in quotes: 203.0.113.7:4711, "[2001:db8::1]:80". */
function addressIn(entry: string): string | undefined {
  const text = entry.trim().replace(/^"(.*)"$/, '$1');
  const [, inBrackets, beforePort] = /^(?:\[([^\]]+)\](?::\d{1,5})?|([^:]+):\d{1,5})$/.exec(text) ?? [];
  const address = inBrackets ?? beforePort ?? text;
  return isIP(address) === 0 ? undefined : address;
}

/** Converts an IPv4-mapped IPv6 address to IPv4. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
