import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { workerFlags } from './test/support/environment.js';
import { LongestFirst } from './test/support/sequencer.js';

export default defineConfig({
  // Otherwise Vite would load graphql's ES modules and its dependents the CommonJS modules, with two different
  // GraphQLErrors.
  resolve: {
    alias: [
      { find: /^graphql$/, replacement: 'graphql/index.js' },
      {
        find: /^@prisma\/client\/runtime\/query_compiler_fast_bg\.postgresql\.mjs$/,
        replacement: fileURLToPath(new URL('test/support/query-compiler.js', import.meta.url)),
      },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/global-setup.ts',
    setupFiles: 'test/support/setup.ts',
    // Tests wait for a third of their time. More workers would need more connections than PostgreSQL accepts by default.
    maxWorkers: 4,
    // Otherwise each run would transform all modules again, which takes longer than most files.
    experimental: { fsModuleCache: true },
    execArgv: workerFlags,
    // The modules keep no state, and loading all of them for each file took a sixth of the time of the suite.
    isolate: false,
    // Tests wait for conditions, and many of them start whole processes, which takes time on slow machines.
    testTimeout: 90_000,
    hookTimeout: 120_000,
    sequence: { shuffle: true, sequencer: LongestFirst },
    // A test that fails only sometimes shows a defect of the code or of the test. CI still retries once, and marks the
    // test with "(retry x1)", until twenty runs in a row have passed.
    retry: process.env['CI'] ? 1 : 0,
  },
});
