// Prints which texts contain avoided words (see wording.mjs), one per line, and exits with 1 if there are any. In src, all strings
// with several words are checked: messages of errors and of the log, help texts, emails and pages. SQL in tagged templates is
// skipped. The documentation and the English texts of the web app are checked completely, for fewer words.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAst } from 'vitest/node';
import { avoided, avoidedEverywhere } from './wording.mjs';

// Files with instructions for a model, and generated files.
const skipped = /^generated\b|summary\.written\.ts$/;

/** Calls `found` with each text below a node and its offset. */
function visit(node, found) {
  if (node.type === 'TaggedTemplateExpression' || node.type === 'ImportDeclaration') return;
  if (node.type === 'Literal' && typeof node.value === 'string') found(node.value, node.start);
  if (node.type === 'TemplateElement') found(node.value.raw, node.start);
  for (const child of Object.values(node).flat()) {
    if (child !== null && typeof child === 'object' && 'type' in child) visit(child, found);
  }
}

const inCode = readdirSync('src', { recursive: true, encoding: 'utf8' }).flatMap((name) => {
  if (!/\.[jt]s$/.test(name) || skipped.test(name)) return [];
  const code = readFileSync(join('src', name), 'utf8');
  if (!avoided.test(code)) return [];
  const found = [];
  visit(parseAst(code, { lang: name.endsWith('.ts') ? 'ts' : 'js' }), (text, start) => {
    const match = / /.test(text) && avoided.exec(text);
    if (match) found.push(`src/${name}:${code.slice(0, start).split('\n').length}: "${match[0]}" in "${text.trim()}"`);
  });
  return found;
});

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs').map((name) => join('docs', name)),
  ...readdirSync('packages').map((name) => join('packages', name, 'README.md')),
  ...readdirSync('web/src/locales').map((name) => join('web/src/locales', name)),
].filter((path) => /\.md$|\/en[\w-]*\.ts$/.test(path));
const inPages = pages.flatMap((path) =>
  readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line, index) => {
      const match = avoidedEverywhere.exec(line);
      return match ? [`${path}:${index + 1}: "${match[0]}" in "${line.trim()}"`] : [];
    }),
);

const problems = [...inCode, ...inPages];
for (const problem of problems) console.log(problem);
process.exitCode = problems.length === 0 ? 0 : 1;
