import { expect, it } from 'vitest';
import { isPublicAddress } from '../../../src/infra/outgoing/addresses.js';

it.each([
  '1.1.1.1',
  '93.184.216.34',
  '172.32.0.1',
  '100.128.0.1',
  '2606:4700::1111',
  '2a00:1450:4001:81b::200a',
  '::ffff:8.8.8.8',
  '64:ff9b::8.8.8.8',
])('accepts the public address %s', (address) => {
  expect(isPublicAddress(address)).toBe(true);
});

it.each([
  // this machine
  ['0.0.0.0'],
  ['127.0.0.1'],
  ['127.255.255.254'],
  ['::'],
  ['::1'],
  // private networks, carriers, links
  ['10.0.0.1'],
  ['172.16.0.1'],
  ['172.31.255.255'],
  ['192.168.1.1'],
  ['100.64.0.1'],
  ['100.127.255.255'],
  ['169.254.169.254'],
  ['fe80::1'],
  ['fe80::1%eth0'],
  ['fc00::1'],
  ['fd00:ec2::254'],
  ['fec0::1'],
  // multicast, broadcast, reserved, documentation, benchmarks
  ['224.0.0.1'],
  ['239.255.255.250'],
  ['255.255.255.255'],
  ['240.0.0.1'],
  ['192.0.0.1'],
  ['192.0.2.1'],
  ['198.18.0.1'],
  ['198.51.100.1'],
  ['203.0.113.1'],
  ['ff02::1'],
  ['2001:db8::1'],
  ['100::1'],
  ['4000::1'],
  // IPv4 addresses inside IPv6 addresses
  ['::ffff:127.0.0.1'],
  ['::ffff:7f00:1'],
  ['::ffff:169.254.169.254'],
  ['::127.0.0.1'],
  ['64:ff9b::127.0.0.1'],
  ['64:ff9b::a00:1'],
  ['64:ff9b:1::8.8.8.8'],
  ['2002:7f00:1::'],
  ['2001:0:4136:e378:8000:63bf:3fff:fdd2'],
  // no addresses
  [''],
  ['localhost'],
  ['example.com'],
])('rejects %j', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});
