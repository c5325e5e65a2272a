import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';

/** The names of the files in docs/CLIENTS.md, and their paths in this repository. */
const files = {
  'codegen.ts': 'codegen.ts',
  'examples/apollo/src/main.ts': 'packages/client/examples/apollo/src/main.ts',
  'examples/urql/src/main.ts': 'packages/client/examples/urql/src/main.ts',
  'relay/chat.ts': 'test/packages/client/relay/chat.ts',
  'media.ts': 'test/packages/client/media.ts',
  'upload.ts': 'test/packages/client/upload.ts',
  'notifications.ts': 'test/packages/client/notifications.ts',
  'calls.ts': 'test/packages/client/calls.ts',
  'statuses.ts': 'test/packages/client/statuses.ts',
};

/** The code as it looks in a separate project. */
const elsewhere = (code: string) =>
  code
    .replace(/^\/\/ Typed operations for the tests.*\n/m, '')
    .replace('test/clients/**/*.ts', 'src/**/*.ts')
    .replace('test/generated/', 'src/generated/')
    .replace('../../../../packages/client/src/adapters/relay.js', '@parley/client/relay')
    .replace('../../../packages/client/src/index.js', '@parley/client')
    .replace('../../../packages/client/src/media.js', '@parley/client/media')
    .replace('../../../packages/client/src/notifications.js', '@parley/client/notifications')
    .replace('../../../packages/client/src/calls.js', '@parley/client/calls')
    .replace('../../../packages/client/src/statuses.js', '@parley/client/statuses')
    .trim();

it('docs/CLIENTS.md contains only operations that the tests send', async () => {
  const [page, operations] = await Promise.all(
    ['docs/CLIENTS.md', 'test/clients/operations.ts'].map((path) => readFile(path, 'utf8')),
  );
  const shown = [...(page ?? '').matchAll(/^```graphql\n(.*?)\n```$/gms)].map(([, text = '']) => text);
  expect(shown.length).toBeGreaterThan(0);
  for (const text of shown) expect(operations).toContain(text.replace(/^/gm, '  '));
});

it('docs/CLIENTS.md contains the code that the tests run', async () => {
  const page = await readFile('docs/CLIENTS.md', 'utf8');
  const shown = [...page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)\n```$/gms)].map(([, name, code]) => [name, code]);
  const run = Object.entries(files).map(async ([name, path]) => [name, elsewhere(await readFile(path, 'utf8'))]);
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(await Promise.all(run)));
});

it('docs/CLIENTS.md contains the operations that the tests run', async () => {
  const page = await readFile('docs/CLIENTS.md', 'utf8');
  const shown = [...page.matchAll(/^```graphql\n(.*?)\n```$/gms)].map(([, code = '']) => code);
  expect(shown).not.toEqual([]);
  const run = (await readFile('test/clients/operations.ts', 'utf8')).replaceAll(/^ {2}/gm, '');
  for (const operation of shown) expect(run).toContain(operation);
});
