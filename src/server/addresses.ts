import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddr from 'proxy-addr';
import type { Config } from '../infra/config.js';

/** The client's address of a request: the nearest one, from the socket on, that is no proxy which we trust. */
export type AddressOf = (request: IncomingMessage) => string;

export function createAddressOf({ trustedProxies }: Pick<Config, 'trustedProxies'>): AddressOf {
  const trusted = proxyAddr.compile([...trustedProxies]);
  return (request) => {
    const own = request.socket.remoteAddress;
    // A socket that is gone already has no address.
    if (own === undefined) return '';
    const told = proxyAddr(request, trusted);
    // What a proxy tells may be anything: "unknown", or an address with a port.
    return (isIP(told) === 0 ? own : told).replace(/^::ffff:(?=\d+\.)/i, '');
  };
}
