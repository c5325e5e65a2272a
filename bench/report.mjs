import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { drawChart } from './chart.mjs';

const results = new URL('results.json', import.meta.url);
const page = new URL('../docs/BENCHMARKS.md', import.meta.url);
const chart = new URL('../docs/benchmarks.svg', import.meta.url);

/** A table as Markdown whose columns stand under each other: the same on a console and on the page. */
export function table(head, lines) {
  const cells = [head, ...lines].map((line) => line.map(String));
  const widths = head.map((_, column) => Math.max(...cells.map((line) => line[column].length)));
  const row = (line) =>
    `| ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join(' | ')} |`;
  const rule = `| ${widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`)).join(' | ')} |`;
  return [row(cells[0]), rule, ...cells.slice(1).map(row)].join('\n');
}

/** A target of the kind "at most" or "at least", held against the ratios of the runs. */
const bound = ({ atMost, atLeast }) => (atMost === undefined ? `≥ ${atLeast}` : `≤ ${atMost}`);
const reached = ({ ratio, atMost, atLeast }) => (atMost === undefined ? ratio >= atLeast : ratio <= atMost);
const targetLine = (target) => [
  target.what,
  bound(target),
  target.ratio === undefined ? '–' : target.ratio.toFixed(2),
  target.ratio === undefined ? 'not measured' : reached(target) ? 'reached' : '**not reached**',
  (target.ratios ?? []).map((ratio) => ratio.toFixed(2)).join(', '),
];
const targetHead = ['Target', 'bound', 'ratio', '', 'of each run'];

/** What a row found, as text. */
export function describe({ title, targets = [], tables = [], notes = [] }) {
  return [
    `## ${title}`,
    ...(targets.length > 0 ? [table(targetHead, targets.map(targetLine))] : []),
    ...tables.flatMap(({ title: caption, head, lines }) => [...(caption ? [caption] : []), table(head, lines)]),
    ...(notes.length > 0 ? [notes.map((note) => `- ${note}`).join('\n')] : []),
  ].join('\n\n');
}

/** Keeps what was found, row by row, and writes docs/BENCHMARKS.md and its chart from all that is kept. */
export function write(found, order) {
  const kept = read();
  for (const result of found) kept[result.key] = result;
  writeFileSync(results, `${JSON.stringify(kept, null, 2)}\n`);
  const rows = order.filter((key) => kept[key]).map((key) => kept[key]);
  writeFileSync(chart, drawChart(rows));
  writeFileSync(
    page,
    `${pageOf(
      rows,
      order.filter((key) => !kept[key]),
    )}\n`,
  );
}

function read() {
  try {
    return JSON.parse(readFileSync(results, 'utf8'));
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
    return {};
  }
}

const repeat = `\`\`\`sh
npm run bench                           # every row but the long ones
npm run bench -- --quick                # small numbers: whether it works, not how fast
npm run bench -- --rows fan-out --servers parley,raw --subscribers 1000 --runs 5
npm run bench -- --rows history --long  # fills ten million messages
npm run bench -- --rows people --long   # fills a million people
npm run bench -- --profile profiles     # and a CPU profile of each server, in that folder
npm run bench -- --write                # and writes this page
\`\`\``;

/** What people wrote under this heading, at the end of the page, is kept. */
const REMARKS = '## Where a target is not reached';

function remarks() {
  const text = existsSync(page) ? readFileSync(page, 'utf8') : '';
  const at = text.indexOf(`${REMARKS}\n`);
  return at < 0 ? `${REMARKS}\n\nNothing is written here yet.` : text.slice(at).trimEnd();
}

function pageOf(rows, missing) {
  const targets = rows.flatMap(({ targets = [] }) => targets);
  return [
    '# Benchmarks',
    'Written by `npm run bench -- --write` (all but the last section); what each row does is in `bench/rows/`. Ratios first: both sides of one were measured in the same run, in turn, so that a busy machine is busy for both. The absolute figures are of that machine only.',
    '![Server CPU per delivery](benchmarks.svg)',
    '## Targets',
    table(targetHead, targets.map(targetLine)),
    ...rows.map((row) => describe({ ...row, targets: [] })),
    '## Measured',
    conditionsOf(rows),
    '## Repeat it',
    repeat,
    'It takes PostgreSQL and Redis from `TEST_DATABASE_URL` and `TEST_REDIS_URL`, else those on 127.0.0.1, makes a database and a key prefix of its own there and removes both. The peers are installed in `bench/` at the first use. Linux only: processor time is read from `/proc`.',
    '## Not measured',
    [
      ...missing.map((key) => `The row \`${key}\`: not run yet.`),
      'A network: everything speaks over loopback, whose cost is in the CPU of every server alike.',
      'More than one node, TLS, compression, and a reverse proxy.',
      'Servers that are not JavaScript, beside this one.',
    ]
      .map((line) => `- ${line}`)
      .join('\n'),
    remarks(),
  ].join('\n\n');
}

/** When and on what each row was measured; rows of one run together. */
function conditionsOf(rows) {
  const together = new Map();
  for (const row of rows) {
    const conditions = row.conditions.join('\n');
    together.set(conditions, [...(together.get(conditions) ?? []), row]);
  }
  return [...together]
    .map(([conditions, of]) =>
      [
        of.map(({ key, date, runs }) => `\`${key}\` (${date}, ${runs} ${runs === 1 ? 'run' : 'runs'})`).join(', '),
        ...conditions.split('\n'),
      ]
        .map((line, index) => (index === 0 ? `- ${line}` : `  - ${line}`))
        .join('\n'),
    )
    .join('\n');
}
