// Checks the imports in src, including type imports: each must point to the same layer or a lower one, and no folders
// may import each other in a cycle, neither there nor in the web app and in packages. These must not import files outside of
// their own folder, and schema files must query the database only in the loaders that batch their reads.
// `node deploy/layers.mjs [folder that contains src]`; `npm run check` runs it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** From the lowest to the highest. Files directly in src are entry points, above all of these. */
const layers = ['core', 'infra', 'realtime', 'platform', 'graphql', 'domain', 'app', 'server'];
/** Folders that belong to a layer with another name. */
const aliases = { generated: 'infra', seed: 'entry points' };

/** Packages that only *.schema.ts files and the layers graphql, app, server and above may import. */
const graphqlPackages = /^(graphql|graphql-yoga|graphql-ws|@pothos\/[^/]+)(\/|$)/;

const root = process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..');
const imports = sourceFiles('src').flatMap(importsOf);
// An import of a higher layer closes cycles, but is already reported.
const downward = imports.filter(({ file, target }) => target !== undefined && rankOf(target) <= rankOf(file));
const clients = clientFolders();
const problems = [
  ...imports.flatMap(problemsOf),
  ...folderCycles(downward),
  ...clients.flatMap((folder) => folderCycles(clientImports(folder))),
  ...clients.flatMap(leavingImports),
  ...queriesInSchemas(),
];
for (const problem of problems) console.error(problem);
if (problems.length === 0) console.log(`${imports.length} imports point downwards, and no folders form a cycle.`);
process.exitCode = problems.length === 0 ? 0 : 1;

function sourceFiles(folder) {
  return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)).split(sep).join('/'))
    .filter((file) => !file.includes('src/generated/'))
    .sort();
}

/** Uses of the database in schema files outside of `defineLoader(…)` and `defineListLoader(…)`. */
function queriesInSchemas() {
  return sourceFiles('src')
    .filter((file) => file.endsWith('.schema.ts'))
    .flatMap((file) => {
      const text = codeOf(file);
      const loaders = [...text.matchAll(/\bdefine(?:List)?Loader\b[^(]*\(/g)].map(({ 0: { length }, index }) => {
        let depth = 1;
        let end = index + length;
        for (; depth > 0 && end < text.length; end++) depth += { '(': 1, ')': -1 }[text[end]] ?? 0;
        return { start: index, end };
      });
      return [...text.matchAll(/\bdeps\.database\b|\bdatabase\b[^;]*\} = context\.deps/g)]
        .filter(({ index }) => !loaders.some(({ start, end }) => index > start && index < end))
        .map(
          ({ index }) =>
            `${file}:${lineAt(text, index)} uses the database outside of a loader: call a function of a service.`,
        );
    });
}

/** The folders of what runs in browsers. */
function clientFolders() {
  const packages = existsSync(join(root, 'packages')) ? readdirSync(join(root, 'packages')) : [];
  return ['web', ...packages.map((name) => `packages/${name}`)].filter((folder) =>
    existsSync(join(root, folder, 'src')),
  );
}

/** Imports that leave the folder of a package or of the web app. */
function leavingImports(folder) {
  const what = folder === 'web' ? 'the web app' : 'a package';
  return sourceFiles(`${folder}/src`)
    .flatMap(specifiersOf)
    .filter(({ file, specifier }) => specifier.startsWith('.') && !targetOf(file, specifier).startsWith(`${folder}/`))
    .map(
      ({ file, line, specifier }) =>
        `${file}:${line} imports ${specifier}: ${what} must not import files outside of it.`,
    );
}

/**
 * The imports between the files of the web app or of a package. What is only loaded when it is needed, such as a screen when it
 * is opened, can import the folder that loads it.
 */
function clientImports(folder) {
  return sourceFiles(`${folder}/src`)
    .flatMap(specifiersOf)
    .filter(({ specifier, statement }) => specifier.startsWith('.') && !statement.startsWith('import('))
    .map(({ file, line, specifier }) => ({ file, line, target: targetOf(file, specifier) }))
    .filter(({ target }) => target.startsWith(`${folder}/src/`));
}

/** The path of an imported file. */
function targetOf(file, specifier) {
  return posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts');
}

function importsOf(file) {
  return specifiersOf(file).flatMap(({ line, specifier, statement }) => {
    if (!specifier.startsWith('.')) return [{ file, line, specifier }];
    const target = targetOf(file, specifier);
    if (!target.startsWith('src/') || (statement.startsWith('new URL') && !existsSync(join(root, target)))) return [];
    return [{ file, line, specifier, target }];
  });
}

/**
 * The imports of a file: `import`, `import type`, `export … from`, `import(…)`, `typeof import(…)`, and the modules
 * that it starts as workers. They are matched as text, because TypeScript 7 has no parser API for JavaScript yet; the
 * code is formatted, so statements start in the first column.
 */
function specifiersOf(file) {
  const text = codeOf(file);
  const patterns = [
    /^import\s(?:[^;'"(]*?\sfrom\s*)?['"]([^'"]+)['"]/gm,
    /^export\s+(?:type\s+)?[*{][^;'"]*?\sfrom\s*['"]([^'"]+)['"]/gm,
    /\bimport\(\s*['"`]([^'"`]+)['"`]/g,
    /\bnew URL\(\s*['"]([^'"]+\.js)['"],\s*import\.meta\.url\)/g,
  ];
  return patterns
    .flatMap((pattern) => [...text.matchAll(pattern)])
    .map(({ 0: statement, 1: specifier, index }) => ({
      file,
      line: lineAt(text, index + statement.length),
      specifier,
      statement,
    }));
}

/** The text of a file with spaces in place of comments. */
function codeOf(file) {
  const text = readFileSync(join(root, file), 'utf8');
  return text.replace(/^[ \t]*(?:\/\*[\s\S]*?\*\/|\/\/.*)/gm, (comment) => comment.replace(/[^\n]/g, ' '));
}

function lineAt(text, index) {
  return text.slice(0, index).split('\n').length;
}

/** The folder of a feature, including its subfolders. */
function folderOf(file) {
  return /^src\/domain\/[^/]+(?=\/)/.exec(file)?.[0] ?? posix.dirname(file);
}

function layerOf(file) {
  const [, folder, ...rest] = file.split('/');
  return rest.length === 0 ? 'entry points' : (aliases[folder] ?? folder);
}

/** The index of a file's layer; -1 if there is no such layer. */
function rankOf(file) {
  const layer = layerOf(file);
  return layer === 'entry points' ? layers.length : layers.indexOf(layer);
}

function problemsOf({ file, line, specifier, target }) {
  const at = `${file}:${line} imports ${target ?? specifier}`;
  const isSchema = file.endsWith('.schema.ts');
  const isLogic = !isSchema && rankOf(file) <= rankOf('src/domain/');
  if (target === undefined) {
    return isLogic && layerOf(file) !== 'graphql' && graphqlPackages.test(specifier)
      ? [`${at}: only *.schema.ts files and the layers graphql, app and server may depend on GraphQL packages.`]
      : [];
  }
  for (const path of [file, target]) {
    if (rankOf(path) < 0) return [`${at}: src/${path.split('/')[1]} is none of the layers ${layers.join(' < ')}.`];
  }
  if (rankOf(target) > rankOf(file)) {
    return [`${at}: ${layerOf(file)} is below ${layerOf(target)} (${[...layers, 'entry points'].join(' < ')}).`];
  }
  if (layerOf(file) === 'domain' && !isSchema && layerOf(target) === 'graphql') {
    return [`${at}: in domain, only *.schema.ts files may import the layer graphql.`];
  }
  if (isLogic && !file.endsWith('.feature.ts') && target.endsWith('.schema.ts')) {
    return [`${at}: only *.schema.ts, *.feature.ts and the layers above domain may import *.schema.ts files.`];
  }
  return [];
}

/** The shortest cycles between folders, no two of which share an import. */
function folderCycles(edges) {
  /** For each folder, the folders that it imports, with the first import of each. */
  const graph = new Map();
  for (const each of edges) {
    const [from, to] = [folderOf(each.file), folderOf(each.target)];
    if (from === to) continue;
    const targets = graph.get(from) ?? new Map();
    graph.set(from, targets.set(to, targets.get(to) ?? each));
  }
  const cycles = [];
  for (const [from, targets] of [...graph].sort(([a], [b]) => a.localeCompare(b))) {
    for (const to of targets.keys()) {
      const back = shortestPath(graph, to, from);
      if (back) cycles.push([from, ...back]);
    }
  }
  const reported = new Set();
  const texts = [];
  for (const folders of cycles.sort((a, b) => a.length - b.length)) {
    const steps = folders.slice(1).map((folder, index) => graph.get(folders[index]).get(folder));
    // Skips cycles that share an import with a reported one, because they may disappear together with it.
    if (steps.some((step) => reported.has(step))) continue;
    for (const step of steps) reported.add(step);
    const lines = steps.map(({ file, line, target }) => `  ${file}:${line} imports ${target}`);
    texts.push(`Folders form a cycle: ${folders.join(' -> ')}\n${lines.join('\n')}`);
  }
  return texts;
}

/** The folders on a shortest path, including both ends; undefined if there is none. */
function shortestPath(graph, from, to) {
  const paths = [[from]];
  const seen = new Set([from]);
  for (const path of paths) {
    const last = path.at(-1);
    if (last === to) return path;
    for (const next of graph.get(last)?.keys() ?? []) {
      if (seen.has(next)) continue;
      seen.add(next);
      paths.push([...path, next]);
    }
  }
  return undefined;
}
