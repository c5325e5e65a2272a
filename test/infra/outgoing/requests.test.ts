import { describe, expect, it } from 'vitest';
import { createDestinations } from '../../../src/infra/outgoing/destinations.js';
import {
  createOutgoingRequests,
  ForbiddenDestination,
  type OutgoingRequests,
} from '../../../src/infra/outgoing/requests.js';
import { eventually } from '../../support/client.js';
import { atEnd } from '../../support/ending.js';
import { type PushService, startPushService } from '../../support/push-service.js';

function makeRequests(
  patterns: string[],
  options: Partial<Parameters<typeof createOutgoingRequests>[0]> = {},
): OutgoingRequests {
  const requests = createOutgoingRequests({
    destinations: createDestinations(patterns),
    timeoutMs: 5_000,
    bodyMax: 1_000,
    atOncePerOrigin: 3,
    waitingPerOriginMax: 100,
    ...options,
  });
  atEnd(() => requests.close());
  return requests;
}

const post = (requests: OutgoingRequests, url: string) => requests.post(new URL(url), {}, Buffer.from('hello'));

async function trusted(options: Partial<Parameters<typeof createOutgoingRequests>[0]> = {}) {
  const service: PushService = await startPushService();
  return { service, requests: makeRequests([service.origin], options) };
}

describe('outgoing requests', () => {
  it('are made with their headers and body, over connections that are reused', async () => {
    const { service, requests } = await trusted();
    service.answer(() => ({ status: 202, headers: { 'retry-after': '7' }, body: 'fine' }));
    const url = new URL('/a?b=c', service.origin);
    const response = await requests.post(url, { ttl: '60' }, Buffer.from('hello'));
    expect(response).toMatchObject({ status: 202, headers: { 'retry-after': '7' } });
    expect(response.body.toString()).toBe('fine');
    expect(service.pushes[0]).toMatchObject({ path: '/a?b=c', headers: { ttl: '60', 'content-length': '5' } });
    expect(service.pushes[0]?.body.toString()).toBe('hello');
    await requests.post(url, {}, Buffer.from('hello'));
    expect(service.connections).toBe(1);
  });

  it('are refused unless the destination is allowed', async () => {
    const service = await startPushService();
    const requests = makeRequests(['push.example.com']);
    for (const url of [`${service.origin}/a`, 'https://other.example.com/a', 'http://push.example.com/a']) {
      await expect(post(requests, url)).rejects.toThrow(ForbiddenDestination);
    }
    expect(service.connections).toBe(0);
  });

  it.each([
    [['127.0.0.1']],
    [['::1']],
    [['::ffff:127.0.0.1']],
    [['169.254.169.254']],
    [['64:ff9b::a9fe:a9fe']],
    [['10.0.0.1']],
    // One bad address is enough: the connection could be made to it.
    [['93.184.216.34', '127.0.0.1']],
    [[]],
  ])('are refused if the host has the addresses %j', async (addresses) => {
    const requests = makeRequests(['push.example.com'], {
      resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    });
    await expect(post(requests, 'https://push.example.com/a')).rejects.toThrow(ForbiddenDestination);
  });

  it('resolve a name once, and connect to the address that was checked', async () => {
    const service = await startPushService();
    const checked: string[] = [];
    let count = 0;
    const requests = makeRequests(['push.example.com'], {
      // A server that rebinds its name gives another answer each time.
      resolve: async () => {
        count += 1;
        return [{ address: count === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
      },
      isPublic: (address) => checked.push(address) > 0,
    });
    const port = new URL(service.origin).port;
    // The service does not speak TLS: the request fails after the connection was made.
    const error = await post(requests, `https://push.example.com:${port}/a`).catch((thrown: unknown) => thrown);
    expect(error).not.toBeInstanceOf(ForbiddenDestination);
    expect(service.connections).toBe(1);
    expect(checked).toEqual(['127.0.0.1']);
    expect(count).toBe(1);
  });

  it('are refused for addresses in URLs, in every notation', async () => {
    const requests = makeRequests(['*'], { resolve: () => Promise.reject(new Error('must not be looked up')) });
    for (const host of ['127.0.0.1', '127.1', '0x7f000001', '2130706433', '[::1]', '[::ffff:127.0.0.1]', '[fe80::1]']) {
      await expect(post(requests, `https://${host}/a`)).rejects.toThrow(ForbiddenDestination);
    }
  });

  it('do not follow redirects', async () => {
    const { service, requests } = await trusted();
    service.answer(() => ({ status: 307, headers: { location: '/elsewhere' } }));
    expect(await post(requests, `${service.origin}/a`)).toMatchObject({ status: 307 });
    expect(service.pushes).toHaveLength(1);
  });

  it('end at the time limit', async () => {
    const { service, requests } = await trusted({ timeoutMs: 50 });
    service.answer(() => new Promise(() => {}));
    await expect(post(requests, `${service.origin}/a`)).rejects.toThrow();
  });

  it('read a body up to its maximum', async () => {
    const { service, requests } = await trusted();
    service.answer(() => ({ status: 200, body: 'x'.repeat(1_000_000) }));
    expect((await post(requests, `${service.origin}/a`)).body).toHaveLength(1_000);
  });

  it('are limited for each origin', async () => {
    const { service, requests } = await trusted({ waitingPerOriginMax: 2 });
    const waiting: (() => void)[] = [];
    service.answer(() => new Promise((resolve) => waiting.push(() => resolve({ status: 200 }))));
    const posts = Array.from({ length: 6 }, () => post(requests, `${service.origin}/a`));
    await expect(Promise.race(posts)).rejects.toThrow('Too many requests');
    await eventually('three requests', () => waiting.length === 3);
    for (let answered = 0; answered < 5; answered += 1) {
      await eventually('a request', () => waiting.length > 0);
      waiting.shift()?.();
    }
    const results = await Promise.allSettled(posts);
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
    expect(service.atOnceMax).toBe(3);
  });
});
