import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

/** What the page calls each file, and where it is here. */
const files = {
  'codegen.ts': 'codegen.ts',
  'src/session.ts': 'test/clients/session.ts',
  'src/follow.ts': 'test/clients/follow.ts',
  'src/apollo.ts': 'test/clients/apollo.ts',
  'src/history.ts': 'test/clients/history.ts',
  'src/urql.ts': 'test/clients/urql.ts',
};

/** The code as it stands in a project of its own. */
const elsewhere = (code: string) =>
  code
    .replace(/^\/\/ Typed operations for the tests.*\n/m, '')
    .replace('test/clients/**/*.ts', 'src/**/*.ts')
    .replace('test/generated/', 'src/generated/')
    .replace('../generated/', './generated/')
    .trim();

it('docs/CLIENTS.md shows operations that the tests send', async () => {
  const [page, operations] = await Promise.all(
    ['docs/CLIENTS.md', 'test/clients/operations.ts'].map((path) => readFile(path, 'utf8')),
  );
  const shown = [...(page ?? '').matchAll(/^```graphql\n(.*?)\n```$/gms)].map(([, text = '']) => text);
  expect(shown.length).toBeGreaterThan(0);
  for (const text of shown) expect(operations).toContain(text.replace(/^/gm, '  '));
});

it('docs/CLIENTS.md shows what the tests run', async () => {
  const page = await readFile('docs/CLIENTS.md', 'utf8');
  const shown = [...page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)\n```$/gms)].map(([, name, code]) => [name, code]);
  const run = Object.entries(files).map(async ([name, path]) => [name, elsewhere(await readFile(path, 'utf8'))]);
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(await Promise.all(run)));
});

it('docs/CLIENTS.md has the operations that the tests run', async () => {
  const page = await readFile('docs/CLIENTS.md', 'utf8');
  const shown = [...page.matchAll(/^```graphql\n(.*?)\n```$/gms)].map(([, code = '']) => code);
  expect(shown).not.toEqual([]);
  const run = (await readFile('test/clients/operations.ts', 'utf8')).replaceAll(/^ {2}/gm, '');
  for (const operation of shown) expect(run).toContain(operation);
});
