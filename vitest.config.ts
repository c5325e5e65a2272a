import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/support/sequencer.js';

export default defineConfig({
  // Else Vite takes graphql's ES modules and the libraries its CommonJS: two GraphQLErrors that do not know each other.
  resolve: { alias: [{ find: /^graphql$/, replacement: 'graphql/index.js' }] },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: 'test/support/setup.ts',
    // Tests wait for a third of their time, so that three workers keep two cores busy.
    maxWorkers: 3,
    // No module of ours keeps anything; loading all of them for each file took a sixth of the suite.
    isolate: false,
    // Tests wait for conditions, and whole processes start within many of them: a slow machine needs its time.
    testTimeout: 90_000,
    hookTimeout: 120_000,
    sequence: { shuffle: true, sequencer: LongestFirst },
    // A test that fails only sometimes shows a defect of the code or of the test. CI still tries once more, and names
    // the test, until the causes of two such failures under load are known.
    retry: process.env['CI'] ? 1 : 0,
  },
});
