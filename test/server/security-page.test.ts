import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { settings } from '../../src/app/config.js';

const page = readFileSync('docs/SECURITY.md', 'utf8');
const rows = page
  // The table of measurements names no tests.
  .slice(0, page.indexOf('## One hostile user'))
  .split('\n')
  .filter((line) => /^\| (?!Requirement |---)/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()));
const named = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);

it('every row of docs/SECURITY.md has a test, and its settings exist', () => {
  expect(rows.length).toBeGreaterThan(20);
  for (const [, point, , its = '', tests = ''] of rows) {
    expect(named(tests).length, point).toBeGreaterThan(0);
    for (const file of named(tests)) expect(existsSync(file), `${point}: ${file}`).toBe(true);
    for (const name of named(its)) expect(Object.keys(settings), point).toContain(name);
  }
});

it('every rate limit, and every limit of operations and connections, has a row in docs/SECURITY.md', () => {
  const bounds = Object.keys(settings).filter((name) =>
    /^(RATE_|OPERATION_|SOCKET|STREAMS?_|HEADERS_|REQUEST_TIMEOUT|BODY_|FRAME_|AUDIT_|PERSISTED_)/.test(name),
  );
  expect(bounds.length).toBeGreaterThan(20);
  for (const name of bounds) expect(page, name).toContain(`\`${name}\``);
});
