import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, vi } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { createAddressOf } from '../../src/server/addresses.js';

/** The client address that the server determines for a request from 127.0.0.1 with this X-Forwarded-For header. */
async function addressWith(trustedProxies: string, forwardedFor?: string, host = '127.0.0.1'): Promise<string> {
  const addressOf = createAddressOf(readConfig({ TRUSTED_PROXIES: trustedProxies }), createLog('silent'));
  const server = createServer((request, response) => response.end(addressOf(request)));
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  try {
    const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor };
    const { port } = server.address() as AddressInfo;
    return await (await fetch(`http://127.0.0.1:${port}`, { headers: { ...headers, connection: 'close' } })).text();
  } finally {
    server.close();
  }
}

it.each([
  ['of the connection if no proxy is trusted', '', '203.0.113.7', '127.0.0.1'],
  ['of the connection without the header', 'loopback', undefined, '127.0.0.1'],
  ['that a trusted proxy forwards', 'loopback', '203.0.113.7', '203.0.113.7'],
  ['behind several proxies', '127.0.0.1, 10.0.0.0/8', '203.0.113.7, 10.1.2.3', '203.0.113.7'],
  [
    'that the last trusted proxy received from, even if the client sent the header itself',
    'loopback',
    '198.51.100.1, 203.0.113.7',
    '203.0.113.7',
  ],
  ['of a proxy that another subnet would make trusted', '10.0.0.0/8', '203.0.113.7', '127.0.0.1'],
  ['of the connection if the proxy forwards "unknown"', 'loopback', 'unknown', '127.0.0.1'],
  ['over IPv6', 'loopback', '2001:db8::7', '2001:db8::7'],
  ['without the port that a proxy adds', 'loopback', '203.0.113.7:4711', '203.0.113.7'],
  ['without the port that a proxy adds to IPv6', 'loopback', '[2001:db8::1]:80', '2001:db8::1'],
  ['without brackets', 'loopback', '[2001:db8::1]', '2001:db8::1'],
  ['without quotes', 'loopback', '"[2001:db8::1]:80"', '2001:db8::1'],
  ['behind several proxies that add ports', '127.0.0.1, 10.0.0.0/8', '203.0.113.7:1, 10.1.2.3:80', '203.0.113.7'],
  ['of the nearest trusted proxy, if it forwards none', 'loopback, 10.0.0.0/8', 'unknown, 10.1.2.3', '10.1.2.3'],
  ['of the connection if the header is invalid', 'loopback', '203.0.113.7, , a:b:c', '127.0.0.1'],
  ['of the connection if the port is invalid', 'loopback', '203.0.113.7:http', '127.0.0.1'],
])('the client address is the one %s', async (_what, trusted, forwardedFor, address) => {
  expect(await addressWith(trusted, forwardedFor)).toBe(address);
});

it('an IPv4-mapped IPv6 address is converted to IPv4', async () => {
  expect(await addressWith('', undefined, '::')).toBe('127.0.0.1');
  expect(await addressWith('127.0.0.1', '::ffff:203.0.113.7', '::')).toBe('203.0.113.7');
});

it.each(['10.0.0.0/33', 'proxy.example.com', '10.0.0.1/8/8', '2001:db8::/129'])(
  'TRUSTED_PROXIES rejects %s',
  (text) => {
    expect(() => readConfig({ TRUSTED_PROXIES: text })).toThrow(/^TRUSTED_PROXIES: /);
  },
);

it.each([
  ['is logged once for an untrusted proxy in a private network', '', '::ffff:10.0.0.5', '203.0.113.7', 1],
  ['is not logged for a trusted proxy', '10.0.0.0/8', '10.0.0.5', '203.0.113.7', 0],
  ['is not logged for a peer without the header', '', '10.0.0.5', undefined, 0],
  ['is not logged for a public address, from which anybody can send the header', '', '198.51.100.1', '203.0.113.7', 0],
])('a warning about TRUSTED_PROXIES %s', (_what, trusted, remoteAddress, forwardedFor, times) => {
  const log = createLog('silent');
  const warn = vi.spyOn(log, 'warn');
  const addressOf = createAddressOf(readConfig({ TRUSTED_PROXIES: trusted }), log);
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor };
  for (let request = 0; request < 3; request += 1) {
    addressOf({ socket: { remoteAddress }, headers } as unknown as IncomingMessage);
  }
  expect(warn).toHaveBeenCalledTimes(times);
  if (times > 0) {
    expect(warn).toHaveBeenCalledWith({ proxy: '10.0.0.5' }, expect.stringContaining('TRUSTED_PROXIES'));
  }
});
