import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { settings } from '../../src/infra/config.js';
import { scrape } from '../support/metrics.js';
import { makePlace } from '../support/place.js';

const page = readFileSync('docs/OPERATIONS.md', 'utf8');
const rules = page.slice(page.indexOf('groups:'), page.indexOf('```', page.indexOf('groups:')));
/** Some of the process are of Linux only. */
const counted = process.platform === 'linux' ? /^(?:parley|nodejs|process)_/ : /^parley_/;

describe('docs/OPERATIONS.md', () => {
  const place = makePlace('embedded');
  let names: string[];
  beforeAll(async () => {
    const node = await (await place).start({ METRICS_PORT: '0' });
    ({ names } = await scrape(node));
  });

  it('names every metric that a node has, once, and no other', () => {
    const inTables = page.replace(rules, '').matchAll(/^\| `([a-z]+_[a-z0-9_]+)`|`((?:nodejs|process)_[a-z0-9_]+)`/gm);
    const named = [...inTables]
      .map(([, inTable, inText]) => inTable ?? inText ?? '')
      .filter((name) => counted.test(name));
    expect(named.sort()).toEqual(names.filter((name) => counted.test(name)).sort());
  });

  it('has alerts on metrics that there are', () => {
    const asked = [...rules.matchAll(/\b((?:parley|nodejs|process)_[a-z0-9_]+)/g)].map(([, name = '']) => name);
    expect(asked.length).toBeGreaterThan(10);
    for (const name of asked.filter((each) => counted.test(each))) {
      expect(names).toContain(name.replace(/_(?:bucket|count|sum)$/, ''));
    }
  });

  it('speaks of settings that there are', () => {
    const spoken = [...page.matchAll(/`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)\b[^`]*`/g)].map(([, name = '']) => name);
    // Codes of errors; and what the exporter of traces reads by itself.
    const others = ['INTERNAL_SERVER_ERROR', 'CURSOR_EXPIRED', 'OTEL_EXPORTER_OTLP_HEADERS'];
    const known = [...Object.keys(settings.shape), ...others];
    expect(spoken.filter((name) => !known.includes(name))).toEqual([]);
    for (const needed of ['METRICS_PORT', 'METRICS_HOST', 'METRICS_TOKEN', 'OTEL_EXPORTER_OTLP_ENDPOINT']) {
      expect(spoken).toContain(needed);
    }
  });

  it('quotes lines of the log as the code writes them, at their levels', () => {
    const log = page.slice(page.indexOf('## The log'), page.indexOf('## What breaks'));
    const quoted = [...log.matchAll(/^\| `([^`]+)` \| (\d+) \|/gm)].map(([, line = '', level]) => ({ line, level }));
    expect(quoted.length).toBeGreaterThan(10);
    const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
    const code = files.map((name) => readFileSync(join('src', name), 'utf8')).join('\n');
    const levels = { 30: 'info', 40: 'warn', 50: 'error', 60: 'fatal' };
    for (const { line, level } of quoted) {
      const at = code.indexOf(`'${line}'`);
      expect(at, line).toBeGreaterThan(0);
      // What is between is what else the line says.
      const [, called] =
        /log\s*\.(info|warn|error|fatal)\((?:(?!log\s*\.)[\s\S])*$/.exec(code.slice(Math.max(0, at - 300), at)) ?? [];
      expect({ line, called }).toEqual({ line, called: levels[Number(level) as keyof typeof levels] });
    }
  });
});
