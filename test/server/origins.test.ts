import { expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { isAllowedOrigin } from '../../src/server/origins.js';

const isAllowed = (ALLOWED_ORIGINS: string, origin: string) =>
  isAllowedOrigin(
    readConfig({ ALLOWED_ORIGINS, NODE_ENV: 'production', JWT_SECRET: 'x'.repeat(32) }),
    origin,
    'api.example.com',
  );

it.each([
  ['https://chat.example.com', 'https://chat.example.com'],
  ['https://chat.example.com/', 'https://chat.example.com'],
  ['HTTPS://Chat.Example.com', 'https://chat.example.com'],
  ['https://chat.example.com:443', 'https://chat.example.com'],
  ['http://chat.example.com:80/', 'http://chat.example.com'],
  ['https://chat.example.com:8443', 'https://chat.example.com:8443'],
  ['https://bücher.example', 'https://xn--bcher-kva.example'],
  ['http://[2001:DB8::1]:80', 'http://[2001:db8::1]'],
  ['capacitor://localhost', 'capacitor://localhost'],
  ['ionic://localhost/', 'ionic://localhost'],
  ['tauri://localhost', 'tauri://localhost'],
  ['app://chat.example', 'app://chat.example'],
  ['chrome-extension://abcdefghijklmnopabcdefghijklmnop', 'chrome-extension://abcdefghijklmnopabcdefghijklmnop'],
  ['moz-extension://0f1b3c00-0000-4000-8000-000000000000', 'moz-extension://0f1b3c00-0000-4000-8000-000000000000'],
  ['https://*.example.com', 'https://chat.example.com'],
  ['https://*.example.com', 'https://a.b-1.example.com'],
  ['https://*.example.com:8443', 'https://chat.example.com:8443'],
  ['http://*.localhost:3000', 'http://tenant.localhost:3000'],
])('ALLOWED_ORIGINS=%s allows pages of %s', (allowed, origin) => {
  expect(isAllowed(`https://other.example, ${allowed}`, origin)).toBe(true);
});

it.each([
  ['https://chat.example.com', 'http://chat.example.com'],
  ['https://chat.example.com', 'https://chat.example.com:8443'],
  ['https://chat.example.com', 'https://chat.example.com.evil.example'],
  ['https://chat.example.com', 'null'],
  ['https://*.example.com', 'https://example.com'],
  ['https://*.example.com', 'https://evilexample.com'],
  ['https://*.example.com', 'https://example.com.evil.example'],
  ['https://*.example.com', 'https://evil.example/.example.com'],
  ['https://*.example.com', 'https://evil.example#.example.com'],
  ['https://*.example.com', 'https://evil.example?.example.com'],
  ['https://*.example.com', 'https://evil.example\\.example.com'],
  ['https://*.example.com', 'https://evil@chat.example.com'],
  ['https://*.example.com', 'https://.example.com'],
  ['https://*.example.com', 'https://*.example.com'],
  ['https://*.example.com', 'http://chat.example.com'],
  ['https://*.example.com', 'https://chat.example.com:8443'],
  ['https://*.example.com:8443', 'https://chat.example.com'],
  ['capacitor://localhost', 'ionic://localhost'],
  ['capacitor://localhost', 'http://localhost'],
])('ALLOWED_ORIGINS=%s does not allow pages of %s', (allowed, origin) => {
  expect(isAllowed(allowed, origin)).toBe(false);
});
