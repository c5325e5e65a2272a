import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { generate } from '@graphql-codegen/cli';

const exec = promisify(execFile);

/** Copies the sources of an example of packages/client, and generates its operations there. */
export async function copyExample(name: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true });
  const source = join('packages/client/examples', name, 'src');
  for (const file of await readdir(source)) if (file.endsWith('.ts')) await cp(join(source, file), join(target, file));
  const { default: config } = await import(resolve('packages/client/examples', name, 'codegen.ts'));
  const [options] = Object.values(config.generates);
  await generate(
    {
      schema: 'schema.graphql',
      documents: [join(target, 'operations.ts')],
      silent: true,
      errorsOnly: true,
      generates: { [`${join(target, 'generated')}/`]: options as object },
    },
    true,
  );
}

/** Writes the declarations of packages/client, where an application finds its entry points by their names. */
export async function declarePackage(target: string): Promise<void> {
  const declarations = ['--declaration', '--emitDeclarationOnly', '--outDir', target];
  await exec(resolve('node_modules/.bin/tsc'), ['-p', 'packages/client', ...declarations]);
  for (const name of ['apollo', 'urql', 'relay']) {
    await writeFile(join(target, `${name}.d.ts`), `export * from './adapters/${name}.js';\n`);
  }
}

/** The sources of the entry points of packages/client, as aliases for Vite. */
export const packageAliases = [
  { find: /^@parley\/client\/(apollo|urql|relay)$/, replacement: resolve('packages/client/src/adapters/$1.ts') },
  { find: /^@parley\/client\/(\w+)$/, replacement: resolve('packages/client/src/$1.ts') },
  { find: /^@parley\/client$/, replacement: resolve('packages/client/src/index.ts') },
];
