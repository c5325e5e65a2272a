import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { generate } from '@graphql-codegen/cli';

const exec = promisify(execFile);

/** `tsconfig.json` of new projects of create-vite 9.3 (vanilla-ts). */
export const viteProject = {
  compilerOptions: {
    target: 'es2023',
    module: 'esnext',
    lib: ['ES2023', 'DOM'],
    types: ['vite/client'],
    allowArbitraryExtensions: true,
    skipLibCheck: true,
    moduleResolution: 'bundler',
    allowImportingTsExtensions: true,
    verbatimModuleSyntax: true,
    moduleDetection: 'force',
    noEmit: true,
    noUnusedLocals: true,
    noUnusedParameters: true,
    erasableSyntaxOnly: true,
    noFallthroughCasesInSwitch: true,
  },
  include: ['src'],
};

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

/**
 * Packs packages/client and installs the archive in a new folder, in which the other packages of this repository are found
 * too. Applications are made in folders inside of it.
 * @returns the name of the archive.
 */
export async function installPackage(folder: string): Promise<string> {
  // Packed in a copy, so that tests at the same time do not build the same files.
  const checkout = join(folder, 'checkout');
  const isSource = (path: string) => !/[/\\](?:dist|examples|node_modules)$/.test(path);
  await cp('packages/client', join(checkout, 'packages/client'), { recursive: true, filter: isSource });
  for (const name of ['package.json', 'tsconfig.json']) await cp(name, join(checkout, name));
  await symlink(resolve('node_modules'), join(checkout, 'node_modules'));
  const { stdout } = await npm(checkout, 'pack', '--workspace', 'packages/client', '--pack-destination', folder);
  const archive = stdout.trim().split('\n').at(-1) ?? '';
  await writeFile(join(folder, 'package.json'), '{ "private": true, "type": "module" }');
  await npm(folder, 'install', '--offline', '--no-audit', '--no-fund', join(folder, archive));
  const packages = (await readdir('node_modules')).filter((name) => !name.startsWith('.') && name !== '@parley');
  for (const name of packages) await symlink(resolve('node_modules', name), join(folder, 'node_modules', name));
  return archive;
}

/** Installs the packages of a folder that only some tests use, if they are missing or outdated. */
export async function installIn(folder: string): Promise<void> {
  const modified = async (name: string) => (await stat(join(folder, name)).catch(() => undefined))?.mtimeMs ?? 0;
  // npm writes this file last, so its time is that of the installation.
  const installed = await modified('node_modules/.package-lock.json');
  if (installed < (await modified('package-lock.json'))) await npm(folder, 'ci', '--no-audit', '--no-fund');
}

/** Runs npm as from a shell: the variables of an npm that has started this process would apply to this one as well. */
function npm(cwd: string, ...args: string[]) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')));
  return exec('npm', ['--loglevel=error', ...args], { cwd, env });
}

/** The errors of the compiler in a project; empty if there are none. */
export async function compileErrors(folder: string): Promise<string> {
  const { stdout } = await exec(resolve('node_modules/.bin/tsc'), ['-p', folder]).catch((error) => error);
  return stdout;
}
