import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddr from 'proxy-addr';
import type { Config } from '../infra/config/config.js';
import type { Logger } from '../infra/telemetry/log.js';

/** The client's address of a request: the nearest one, from the socket on, that is no proxy which we trust. */
export type AddressOf = (request: IncomingMessage) => string;

/** @param log is told, once, when a proxy on this machine or in a private network is not believed: it may have been forgotten. */
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
    // A socket that is gone already has no address.
    if (own === undefined) return '';
    if (!isTold && request.headers['x-forwarded-for'] !== undefined) lookForForgotten(own);
    let address = own;
    // From the socket on, each trusted proxy names the one before it; what none of them knows is left out.
    for (const [index, named] of forwardedFor(request).reverse().entries()) {
      if (named === undefined || !trusted(address, index)) break;
      address = named;
    }
    return plain(address);
  };
}

/** The addresses in X-Forwarded-For; undefined for an entry that is none (`unknown`). */
function forwardedFor({ headers }: IncomingMessage): (string | undefined)[] {
  const header = String(headers['x-forwarded-for'] ?? '');
  return header === '' ? [] : header.split(',').map(addressIn);
}

/** The address of an entry, that some proxies write with a port or in quotes: 203.0.113.7:4711, "[2001:db8::1]:80". */
function addressIn(entry: string): string | undefined {
  const text = entry.trim().replace(/^"(.*)"$/, '$1');
  const [, inBrackets, beforePort] = /^(?:\[([^\]]+)\](?::\d{1,5})?|([^:]+):\d{1,5})$/.exec(text) ?? [];
  const address = inBrackets ?? beforePort ?? text;
  return isIP(address) === 0 ? undefined : address;
}

/** IPv4 as such where it came over a socket of IPv6. */
const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '');
