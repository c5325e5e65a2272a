import { describe, expect, it } from 'vitest';
import { createDestinations, readDestination } from '../../../src/infra/outgoing/destinations.js';

const reach = (patterns: string[], url: string) =>
  createDestinations(patterns.map((pattern) => readDestination(pattern) ?? 'invalid')).reachOf(new URL(url));

describe('destinations', () => {
  it('accept https URLs of the named hosts, on any port', () => {
    expect(reach(['push.example.com'], 'https://push.example.com/a')).toBe('PUBLIC');
    expect(reach(['Push.Example.com'], 'https://push.example.com.:8443/a')).toBe('PUBLIC');
    expect(reach(['push.example.com'], 'http://push.example.com/a')).toBeUndefined();
    expect(reach(['push.example.com'], 'https://other.push.example.com/a')).toBeUndefined();
    expect(reach(['push.example.com'], 'https://push.example.com.evil.example/a')).toBeUndefined();
    expect(reach(['push.example.com'], 'https://user@push.example.com/a')).toBeUndefined();
    expect(reach(['push.example.com'], 'https://:pass@push.example.com/a')).toBeUndefined();
  });

  it('accept the hosts below a domain, but not the domain itself', () => {
    expect(reach(['*.push.example.com'], 'https://eu.west.push.example.com/a')).toBe('PUBLIC');
    expect(reach(['*.push.example.com'], 'https://push.example.com/a')).toBeUndefined();
    expect(reach(['*.push.example.com'], 'https://evilpush.example.com/a')).toBeUndefined();
  });

  it('accept all hosts with *', () => {
    expect(reach(['*'], 'https://anything.example/a')).toBe('PUBLIC');
    expect(reach(['*'], 'http://anything.example/a')).toBeUndefined();
    expect(reach(['*'], 'file:///etc/passwd')).toBeUndefined();
  });

  it('trust exactly the named origins', () => {
    expect(reach(['http://127.0.0.1:8080'], 'http://127.0.0.1:8080/a')).toBe('TRUSTED');
    expect(reach(['http://127.0.0.1:8080'], 'http://127.0.0.1:8081/a')).toBeUndefined();
    expect(reach(['http://127.0.0.1:8080'], 'https://127.0.0.1:8080/a')).toBeUndefined();
    // The same address in another notation.
    expect(reach(['http://127.0.0.1:8080'], 'http://2130706433:8080/a')).toBe('TRUSTED');
    expect(reach([], 'https://push.example.com/a')).toBeUndefined();
  });

  it.each([
    '10.0.0.1',
    '2130706433',
    '[::1]',
    'a b',
    'host:80',
    'host/path',
    '*.*.com',
    'https://*.example.com',
    'ftp://host',
  ])('reject the pattern %j', (pattern) => expect(readDestination(pattern)).toBeUndefined());
});
