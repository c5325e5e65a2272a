import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Else Vite takes graphql's ES modules and the libraries its CommonJS: two GraphQLErrors that do not know each other.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: 'test/support/setup.ts',
    // Each file starts nodes of its own; an embedded database takes some 350 MB and a core while it starts.
    maxWorkers: 2,
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 60_000,
    sequence: { shuffle: true },
    // What a busy machine is too slow for once; the report names what was tried again.
    retry: process.env['CI'] ? 1 : 0,
  },
});
