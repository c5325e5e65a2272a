import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseAst } from 'vitest/node';
import { settings } from '../../src/app/config.js';
import { scrape } from '../support/metrics.js';
import { makePlace } from '../support/place.js';

const page = readFileSync('docs/OPERATIONS.md', 'utf8');
const rules = page.slice(page.indexOf('groups:'), page.indexOf('```', page.indexOf('groups:')));
/** Some metrics of the process exist only on Linux. */
const counted = process.platform === 'linux' ? /^(?:parley|nodejs|process)_/ : /^parley_/;

describe('docs/OPERATIONS.md', () => {
  const place = makePlace('embedded');
  let names: string[];
  beforeAll(async () => {
    const node = await (await place).start({ METRICS_PORT: '0' });
    ({ names } = await scrape(node));
  });

  it('names every metric once, and no others', () => {
    const inTables = page.replace(rules, '').matchAll(/^\| `([a-z]+_[a-z0-9_]+)`|`((?:nodejs|process)_[a-z0-9_]+)`/gm);
    const named = [...inTables]
      .map(([, inTable, inText]) => inTable ?? inText ?? '')
      .filter((name) => counted.test(name));
    expect(named.sort()).toEqual(names.filter((name) => counted.test(name)).sort());
  });

  it('contains only alerts on existing metrics', () => {
    const asked = [...rules.matchAll(/\b((?:parley|nodejs|process)_[a-z0-9_]+)/g)].map(([, name = '']) => name);
    expect(asked.length).toBeGreaterThan(10);
    for (const name of asked.filter((each) => counted.test(each))) {
      expect(names).toContain(name.replace(/_(?:bucket|count|sum)$/, ''));
    }
  });

  it('names only existing settings', () => {
    const spoken = [...page.matchAll(/`([A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+)\b[^`]*`/g)].map(([, name = '']) => name);
    // Error codes, and variables that the exporter of traces reads itself.
    const others = ['INTERNAL_SERVER_ERROR', 'NODE_EXTRA_CA_CERTS', 'CURSOR_EXPIRED', 'OTEL_EXPORTER_OTLP_HEADERS'];
    const known = [...Object.keys(settings), ...others];
    expect(spoken.filter((name) => !known.includes(name))).toEqual([]);
    for (const needed of ['METRICS_PORT', 'METRICS_HOST', 'METRICS_TOKEN', 'OTEL_EXPORTER_OTLP_ENDPOINT']) {
      expect(spoken).toContain(needed);
    }
  });

  it('contains every message that the code logs at level warn or above, with its level, and no others', () => {
    const table = page.slice(page.indexOf('## The log'), page.indexOf('## What breaks'));
    const documented = [...table.matchAll(/^\| `([^`]+)` \| (\d+) \|/gm)].map(([, line, level]) => `${level} ${line}`);
    expect(documented).toHaveLength(new Set(documented).size);
    const calls = loggingCalls();
    expect(calls.length).toBeGreaterThan(40);
    const logged = new Set(
      calls.map(({ line, level, at }) => `${level} ${line ?? `a message that is no literal, ${at}`}`),
    );
    const severe = (lines: Iterable<string>) => [...lines].filter((line) => !line.startsWith('30 ')).sort();
    // Add a missing message to the table in section "The log" of docs/OPERATIONS.md, with what operators can do.
    expect(severe(documented)).toEqual(severe(logged));
    // The table contains only the most important messages of level info.
    for (const line of documented.filter((each) => each.startsWith('30 '))) expect(logged).toContain(line);
  });
});

interface LoggingCall {
  level: number;
  /** Undefined if it is composed when it is logged. */
  line: string | undefined;
  /** The file and the line of the call. */
  at: string;
}

/** Every call of a logger in src. Throws for a use of a logger's methods in another form, which would be missed. */
function loggingCalls(): LoggingCall[] {
  const levels = new Map([
    ['info', 30],
    ['warn', 40],
    ['error', 50],
    ['fatal', 60],
  ]);
  const found: LoggingCall[] = [];
  for (const name of readdirSync('src', { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts') || name.startsWith('generated') || name.startsWith('seed')) continue;
    const code = readFileSync(join('src', name), 'utf8');
    // Other files need not be parsed.
    if (!/\blog\b|\.(?:warn|error|fatal)\b/i.test(code)) continue;
    const where = ({ start }: Node) => `${name}:${code.slice(0, start).split('\n').length}`;
    const visit = (node: Node, parent?: Node) => {
      if (node.type === 'MemberExpression') {
        const { object, property, computed } = node as unknown as { object: Node; property: Node; computed: boolean };
        const method = String(computed ? property['value'] : property['name']);
        const level = levels.get(method);
        const isLog = /\blog$/i.test(code.slice(object.start, object.end));
        if (isLog && computed) throw new Error(`${where(node)}: which method of the logger is called must be readable`);
        if (object['name'] !== 'console' && level !== undefined && (isLog || method !== 'info')) {
          if (parent?.type !== 'CallExpression' || parent['callee'] !== node) {
            // Properties such as \`socket.error\` are only read. A method of a logger that is read without a call would hide messages.
            if (isLog) throw new Error(`${where(node)}: a method of the logger must be called where it is named`);
          } else {
            for (const line of messages((parent['arguments'] as Node[]).at(-1))) {
              found.push({ level, line, at: where(node) });
            }
          }
        }
      }
      for (const child of Object.values(node).flat()) {
        if (child !== null && typeof child === 'object' && 'type' in child) visit(child as Node, node);
      }
    };
    visit(parseAst(code, { lang: 'ts' }) as unknown as Node);
  }
  return found;
}

interface Node extends Record<string, unknown> {
  type: string;
  start: number;
  end: number;
}

/** The possible values of the last argument of a logging call. */
function messages(node: Node | undefined): (string | undefined)[] {
  if (node?.type === 'ConditionalExpression') {
    return [...messages(node['consequent'] as Node), ...messages(node['alternate'] as Node)];
  }
  return [typeof node?.['value'] === 'string' ? node['value'] : undefined];
}
