import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { build, defineConfig, type Plugin, type Rollup } from 'vite';

// The components are written for React and run on Preact, which has a quarter of its size. Without these aliases (and
// with the packages of React), they run on React.
const aliases = {
  'react/jsx-runtime': 'preact/jsx-runtime',
  'react-dom/client': 'preact/compat/client',
  'react-dom': 'preact/compat',
  react: 'preact/compat',
  // From its sources, so that it need not be built before.
  '@parley/client/text': resolve(import.meta.dirname, '../packages/client/src/text.ts'),
  '@parley/client/calls': resolve(import.meta.dirname, '../packages/client/src/calls.ts'),
  '@parley/client/statuses': resolve(import.meta.dirname, '../packages/client/src/statuses.ts'),
  '@parley/client/drafts': resolve(import.meta.dirname, '../packages/client/src/drafts.ts'),
  '@parley/client/encryption': resolve(import.meta.dirname, '../packages/client/src/encryption.ts'),
  '@parley/client/media': resolve(import.meta.dirname, '../packages/client/src/media.ts'),
  '@parley/client/notifications': resolve(import.meta.dirname, '../packages/client/src/notifications.ts'),
  '@parley/client/pins': resolve(import.meta.dirname, '../packages/client/src/pins.ts'),
  '@parley/client/changes': resolve(import.meta.dirname, '../packages/client/src/changes.ts'),
  '@parley/client/people': resolve(import.meta.dirname, '../packages/client/src/people.ts'),
  '@parley/client': resolve(import.meta.dirname, '../packages/client/src/index.ts'),
  // As Node loads it: its ES module has no default export.
  stopword: resolve(import.meta.dirname, '../node_modules/stopword/dist/stopword.cjs.js'),
  // Shared with the server, which applies the same rules to messages that are not encrypted.
  '@parley/server/search': resolve(import.meta.dirname, '../src/domain/search/search.browser.ts'),
  '@parley/server/summary': resolve(import.meta.dirname, '../src/domain/summary/summary.browser.ts'),
  '@parley/e2ee': resolve(import.meta.dirname, '../packages/e2ee/src/index.ts'),
};

/** What the first view needs: the modules that app/main.tsx imports, directly or indirectly. */
const firstView = new Set<string>();

/** Finds these modules. In one file they are smaller, and quicker to load, than in one for each set of screens that need them. */
const collectFirstView: Plugin = {
  name: 'first-view',
  buildStart: () => firstView.clear(),
  buildEnd() {
    const add = (id: string) => {
      if (firstView.has(id)) return;
      firstView.add(id);
      for (const imported of this.getModuleInfo(id)?.importedIds ?? []) add(imported);
    };
    add(resolve(import.meta.dirname, 'src/app/main.tsx'));
  },
};

const LAYERS = '@layer reset,tokens,base,components;';

/** States the order of the layers in each style sheet, because any of them can be the first that a browser applies. */
const layers: Plugin = {
  name: 'layers',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle)) {
      if (file.type === 'asset' && file.fileName.endsWith('.css')) file.source = LAYERS + file.source;
    }
  },
};

/** Adds the service worker, with the names of all files of the build. */
const worker: Plugin = {
  name: 'worker',
  enforce: 'post',
  async generateBundle(_, bundle) {
    const fixed = readdirSync(resolve(import.meta.dirname, 'public'));
    const files = [...fixed, ...Object.keys(bundle).filter((name) => name !== 'index.html')].sort();
    const page = bundle['index.html'];
    const hash = createHash('sha256')
      .update(files.join())
      .update(page?.type === 'asset' ? page.source : '');
    for (const name of fixed) hash.update(readFileSync(resolve(import.meta.dirname, 'public', name)));
    const values = { FILES: files.map((name) => `/${name}`), VERSION: hash.digest('hex').slice(0, 16) };
    const constants = Object.entries(values).map(([name, value]) => `const ${name} = ${JSON.stringify(value)};\n`);
    const [source, encryption] = await Promise.all([bundleWorker('sw.js'), bundleWorker('src/push/encrypted-push.ts')]);
    this.emitFile({ type: 'asset', fileName: 'sw.js', source: constants.join('') + source });
    this.emitFile({ type: 'asset', fileName: 'sw-encryption.js', source: encryption });
  },
};

/** A script of the service worker in one file, because not all browsers load modules in service workers. */
async function bundleWorker(entry: string): Promise<string> {
  const result = (await build({
    configFile: false,
    root: import.meta.dirname,
    logLevel: 'error',
    publicDir: false,
    resolve: { alias },
    build: {
      write: false,
      target,
      modulePreload: false,
      rolldownOptions: {
        input: resolve(import.meta.dirname, entry),
        output: { format: 'iife', codeSplitting: false },
      },
    },
  })) as Rollup.RollupOutput;
  return result.output[0].code;
}

/** Browsers with `light-dark()`, `popover` and nested CSS. */
const target = ['chrome123', 'firefox125', 'safari17.5'];
const alias = Object.entries(aliases).map(([find, replacement]) => ({ find: new RegExp(`^${find}$`), replacement }));

export default defineConfig({
  root: import.meta.dirname,
  plugins: [collectFirstView, layers, worker],
  resolve: { alias },
  build: {
    outDir: '../dist/web/files',
    emptyOutDir: true,
    target,
    // The policy of the page allows no data: URLs in styles and fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      // @hpke/core imports it only where there is no `globalThis.crypto`, which all of these browsers have.
      external: ['crypto'],
      output: {
        codeSplitting: { groups: [{ name: 'first', test: (id: string) => firstView.has(id) }] },
        // The first file contains the names of all others. 42 bits are enough to tell versions of a file apart.
        entryFileNames: 'assets/[name]-[hash:7].js',
        chunkFileNames: 'assets/[name]-[hash:7].js',
        assetFileNames: 'assets/[name]-[hash:7][extname]',
      },
    },
  },
});
