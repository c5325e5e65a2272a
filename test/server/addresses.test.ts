import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, vi } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { createAddressOf } from '../../src/server/addresses.js';

/** What the server takes for the client's address, of a request from 127.0.0.1 with this X-Forwarded-For. */
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
  ['of the connection where no proxy is trusted', '', '203.0.113.7', '127.0.0.1'],
  ['of the connection where the proxy says nothing', 'loopback', undefined, '127.0.0.1'],
  ['that a trusted proxy names', 'loopback', '203.0.113.7', '203.0.113.7'],
  ['behind several proxies', '127.0.0.1, 10.0.0.0/8', '203.0.113.7, 10.1.2.3', '203.0.113.7'],
  [
    'that the last trusted proxy saw, whatever the client put before',
    'loopback',
    '198.51.100.1, 203.0.113.7',
    '203.0.113.7',
  ],
  ['of a proxy that another subnet would make trusted', '10.0.0.0/8', '203.0.113.7', '127.0.0.1'],
  ['of the connection where the proxy tells none', 'loopback', 'unknown', '127.0.0.1'],
  ['over IPv6', 'loopback', '2001:db8::7', '2001:db8::7'],
  ['without the port that a proxy adds', 'loopback', '203.0.113.7:4711', '203.0.113.7'],
  ['without the port that a proxy adds to IPv6', 'loopback', '[2001:db8::1]:80', '2001:db8::1'],
  ['without brackets', 'loopback', '[2001:db8::1]', '2001:db8::1'],
  ['without quotes', 'loopback', '"[2001:db8::1]:80"', '2001:db8::1'],
  ['behind several proxies that add ports', '127.0.0.1, 10.0.0.0/8', '203.0.113.7:1, 10.1.2.3:80', '203.0.113.7'],
  [
    'of the nearest proxy that is known, where that tells none',
    'loopback, 10.0.0.0/8',
    'unknown, 10.1.2.3',
    '10.1.2.3',
  ],
  ['of the connection where what the proxy tells is garbage', 'loopback', '203.0.113.7, , a:b:c', '127.0.0.1'],
  ['of the connection where there are letters for a port', 'loopback', '203.0.113.7:http', '127.0.0.1'],
])('the address is the one %s', async (_what, trusted, forwardedFor, address) => {
  expect(await addressWith(trusted, forwardedFor)).toBe(address);
});

it('IPv4 is written as such where it comes over a socket of IPv6', async () => {
  expect(await addressWith('', undefined, '::')).toBe('127.0.0.1');
  expect(await addressWith('127.0.0.1', '::ffff:203.0.113.7', '::')).toBe('203.0.113.7');
});

it.each(['10.0.0.0/33', 'proxy.example.com', '10.0.0.1/8/8', '2001:db8::/129'])('%s is no proxy', (text) => {
  expect(() => readConfig({ TRUSTED_PROXIES: text })).toThrow(/^TRUSTED_PROXIES: /);
});

it.each([
  ['that is near and not trusted, once', '', '::ffff:10.0.0.5', '203.0.113.7', 1],
  ['that is trusted, never', '10.0.0.0/8', '10.0.0.5', '203.0.113.7', 0],
  ['that tells of nobody, never', '', '10.0.0.5', undefined, 0],
  ['from elsewhere, never: anybody may write the header', '', '198.51.100.1', '203.0.113.7', 0],
])('a proxy is warned of %s', (_what, trusted, remoteAddress, forwardedFor, times) => {
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
