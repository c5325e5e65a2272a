import { cp, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { compileErrors, copyExample, installPackage, viteProject } from '../support/examples.js';

/**
 * The compiler options of new projects: `tsconfig.app.json` of create-vite 9.3 (react-ts), `tsconfig.json` of
 * create-next-app 16.4, and that of expo-template-default 58 with the `expo/tsconfig.base` that it extends.
 */
const templates = {
  Vite: { ...viteProject, compilerOptions: { ...viteProject.compilerOptions, jsx: 'react-jsx' } },
  Next: {
    compilerOptions: {
      target: 'ES2017',
      lib: ['dom', 'dom.iterable', 'esnext'],
      allowJs: true,
      skipLibCheck: true,
      strict: true,
      noEmit: true,
      esModuleInterop: true,
      module: 'esnext',
      moduleResolution: 'bundler',
      resolveJsonModule: true,
      isolatedModules: true,
      jsx: 'react-jsx',
      paths: { '@/*': ['./*'] },
    },
    include: ['**/*.ts', '**/*.tsx', '**/*.mts'],
    exclude: ['node_modules'],
  },
  Expo: {
    compilerOptions: {
      allowJs: true,
      esModuleInterop: true,
      jsx: 'react-jsx',
      lib: ['DOM', 'ESNext'],
      module: 'preserve',
      moduleDetection: 'force',
      moduleResolution: 'bundler',
      customConditions: ['react-native'],
      noEmit: true,
      resolveJsonModule: true,
      skipLibCheck: true,
      target: 'ESNext',
      strict: true,
      paths: { '@/*': ['./src/*'], '@/assets/*': ['./assets/*'] },
    },
    include: ['**/*.ts', '**/*.tsx'],
    exclude: ['node_modules'],
  },
};

/** Declarations that the short examples of the page take from their application. */
const application = `
declare global {
  const conversationId: string;
  function show(shown: unknown): void;
  function showSignIn(): void;
}
export {};
`;

let installed: string;
beforeAll(async () => {
  installed = await mkdtemp(join(inject('scratch'), 'templates-'));
  await installPackage(installed);
});

describe.concurrent('docs/CLIENTS.md compiles in a new project', () => {
  it.each(Object.entries(templates))('of %s', { timeout: 120_000 }, async (name, template) => {
    const folder = join(installed, name);
    const page = await readFile('docs/CLIENTS.md', 'utf8');
    const blocks = [...page.matchAll(/^```tsx?\n(?:\/\/ (\S+\.ts)\n)?(.*?)\n```$/gms)];
    expect(blocks.length).toBeGreaterThan(5);
    for (const [index, [, path = `relay/example-${index}.ts`, code = '']] of blocks.entries()) {
      await write(folder, `src/${path}`, `${code}\nexport {};\n`);
    }
    await write(folder, 'src/application.ts', application);
    for (const example of ['apollo', 'urql']) {
      const target = join(folder, 'src/examples', example, 'src');
      await copyExample(example, target);
    }
    await cp('test/packages/client/relay/__generated__', join(folder, 'src/relay/__generated__'), { recursive: true });
    await cp(join(folder, 'src/examples/apollo/src'), join(folder, 'src/relay'), { recursive: true });
    await write(folder, 'tsconfig.json', JSON.stringify(template));
    expect(await compileErrors(folder)).toBe('');
  });
});

async function write(folder: string, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}
