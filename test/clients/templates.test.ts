import { execFile } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, inject, it } from 'vitest';

const exec = promisify(execFile);

/**
 * The compiler options that new projects begin with: `tsconfig.app.json` of create-vite 9.3 (react-ts), `tsconfig.json` of
 * create-next-app 16.4, and that of expo-template-default 58 with the `expo/tsconfig.base` that it extends.
 */
const templates = {
  Vite: {
    compilerOptions: {
      target: 'es2023',
      lib: ['ES2023', 'DOM'],
      module: 'esnext',
      types: ['vite/client'],
      allowArbitraryExtensions: true,
      skipLibCheck: true,
      moduleResolution: 'bundler',
      allowImportingTsExtensions: true,
      verbatimModuleSyntax: true,
      moduleDetection: 'force',
      noEmit: true,
      jsx: 'react-jsx',
      noUnusedLocals: true,
      noUnusedParameters: true,
      erasableSyntaxOnly: true,
      noFallthroughCasesInSwitch: true,
    },
    include: ['src'],
  },
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

/** What the short examples of the page take from the application around them. */
const application = `
declare global {
  const Session: typeof import('./session.js').Session;
  const connectSocket: typeof import('./session.js').connectSocket;
  const createApollo: typeof import('./apollo.js').createApollo;
  const apolloAsking: typeof import('./apollo.js').apolloAsking;
  const follow: typeof import('./follow.js').follow;
  const withMessage: typeof import('./history.js').withMessage;
  const session: import('./session.js').Session;
  const apollo: import('@apollo/client').ApolloClient;
  const conversationId: string;
  const input: import('./generated/graphql.js').RegisterInput;
  function show(snapshot: import('./generated/graphql.js').OpeningQuery): void;
  function put(message: import('./generated/graphql.js').MessageFieldsFragment): void;
  function showSignIn(): void;
}
export {};
`;

describe.concurrent('docs/CLIENTS.md compiles in a new project', () => {
  it.each(Object.entries(templates))('of %s', { timeout: 60_000 }, async (name, template) => {
    const folder = join(inject('scratch'), `template-${name}`);
    const page = await readFile('docs/CLIENTS.md', 'utf8');
    const blocks = [...page.matchAll(/^```tsx?\n(?:\/\/ (\S+\.ts)\n)?(.*?)\n```$/gms)];
    expect(blocks.length).toBeGreaterThan(9);
    for (const [index, [, path = `src/example-${index}.ts`, code = '']] of blocks.entries()) {
      await write(folder, path, `${code}\nexport {};\n`);
    }
    const operations = await readFile('test/clients/operations.ts', 'utf8');
    await write(folder, 'src/operations.ts', operations.replace('../generated/', './generated/'));
    await write(folder, 'src/application.ts', application);
    await cp('test/generated', join(folder, 'src/generated'), { recursive: true });
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    await write(folder, 'tsconfig.json', JSON.stringify(template));
    const { stdout } = await exec(resolve('node_modules/.bin/tsc'), ['-p', folder]).catch((error) => error);
    expect(stdout).toBe('');
  });
});

async function write(folder: string, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await writeFile(join(folder, path), text);
}
