// Generates packages/client/src/generated from the .graphql files of packages/client/src: the types of the operations, and
// their documents as short strings that share their fragments. `npm run codegen` writes the files, and `npm run check`
// compares them.
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { generate } from '@graphql-codegen/cli';
import { Kind, parse, print, stripIgnoredCharacters, visit } from 'graphql';

const source = 'packages/client/src';
const folder = `${source}/generated`;
/** The file with the operations that applications need at once. Those of the others are in modules of their own. */
const MAIN = 'operations';

/** The generated files: their texts by their paths. */
export async function clientFiles() {
  const generated = await generate(
    {
      schema: 'schema.graphql',
      documents: [`${source}/*.graphql`],
      silent: true,
      errorsOnly: true,
      generates: {
        [`${folder}/`]: {
          preset: 'client',
          presetConfig: { fragmentMasking: false, persistedDocuments: { hashAlgorithm: 'sha256' } },
          documentTransforms: [{ transform: ({ documents }) => documents.map(withTypenames) }],
          config: {
            documentMode: 'string',
            skipTypename: true,
            // A newer server may send enum values that this schema does not contain.
            futureProofEnums: true,
            enumType: 'string-literal',
            strictScalars: true,
            scalars: { Bytes: 'string', DateTime: 'string', ID: 'string' },
            useTypeImports: true,
          },
        },
      },
    },
    false,
  );
  const text = (name) => generated.find(({ filename }) => filename.endsWith(`/${name}`)).content;
  const persisted = text('persisted-documents.json');
  const [types] = text('graphql.ts').split('export class TypedDocumentString');
  return {
    [`${folder}/types.ts`]: types.replace(/^import type .*\n/m, ''),
    ...documentsOf(JSON.parse(persisted)),
    [`${folder}/hashes.ts`]: hashesOf(JSON.parse(persisted)),
    'packages/client/persisted-documents.json': `${persisted.trim()}\n`,
  };
}

/**
 * Adds __typename to every object that has an id: by both, the store recognizes it. Attachments are no objects of their own
 * in the store, which loads all of these when it starts.
 */
function withTypenames(file) {
  const document = visit(file.document, {
    SelectionSet: {
      leave: (node, _key, parent) => {
        const isIdentified = node.selections.some(({ name }) => name?.value === 'id');
        const isRoot = parent?.kind === Kind.OPERATION_DEFINITION;
        const isPart = parent?.typeCondition?.name.value === 'Attachment';
        if (!isIdentified || isRoot || isPart) return undefined;
        const typename = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: '__typename' } };
        return { ...node, selections: [typename, ...node.selections] };
      },
    },
  });
  return { ...file, document };
}

/** The operations with their names and hashes, and the selections of the fragments by their names. */
function operationsOf(persisted) {
  const fragments = new Map();
  const operations = Object.entries(persisted).map(([hash, text]) => {
    let operation;
    for (const definition of parse(text).definitions) {
      const code = stripIgnoredCharacters(print(definition));
      if (definition.kind === Kind.FRAGMENT_DEFINITION)
        fragments.set(definition.name.value, code.replace(/^.*?{|}$/g, ''));
      else operation = { name: definition.name.value, kind: definition.operation, code };
    }
    return { ...operation, hash };
  });
  return { fragments, operations };
}

/**
 * A module for each .graphql file. The documents contain the selections of their fragments, which costs less than
 * definitions. Each selection is in the modules once, and is not a constant string, which minifiers would copy into each
 * document. What an application does not use is not part of its build.
 */
function documentsOf(persisted) {
  const { fragments, operations } = operationsOf(persisted);
  const files = readdirSync(source).filter((name) => name.endsWith('.graphql'));
  const homes = new Map(
    files.flatMap((name) =>
      parse(readFileSync(`${source}/${name}`, 'utf8')).definitions.map(({ name: { value } }) => [
        value,
        basename(name, '.graphql'),
      ]),
    ),
  );
  const namesIn = (text) => [...text.matchAll(/\.{3}(?!on\b)(\w+)/g)].map(([, name]) => name);
  /** Fragments and operations of a module: their names and texts. */
  const contentOf = (home) =>
    [...fragments, ...operations.map(({ name, code }) => [name, code])].filter(([name]) => homes.get(name) === home);
  /** The fragments of other modules that a module uses. */
  const importsOf = (home) =>
    [...new Set(contentOf(home).flatMap(([, text]) => namesIn(text)))].filter((name) => homes.get(name) !== home);
  const all = [...new Set(homes.values())];
  const exported = new Set(all.flatMap(importsOf));
  return Object.fromEntries(
    all.map((home) => {
      const definitions = [
        ...inOrder(fragments)
          .filter(([name]) => homes.get(name) === home)
          .map(
            ([name, text]) =>
              `${exported.has(name) ? 'export ' : ''}const ${name} = /* @__PURE__ */ fields(${listOf(text)});`,
          ),
        '',
        ...operations.filter(({ name }) => homes.get(name) === home).map(constantOf),
        '',
      ];
      const used = ['document', 'fields', 'mutation'].filter((name) => definitions.join('').includes(` ${name}`));
      const imported = [...importsOf(home), ...used].sort();
      const lines = [
        '// Generated by `npm run codegen`.',
        home === MAIN
          ? "import type { TypedDocument } from '../document.js';"
          : `import { ${imported.join(', ')} } from './documents.js';`,
        "import type * as types from './types.js';",
        '',
        ...(home === MAIN ? helpers : []),
        ...definitions,
      ];
      return [`${folder}/${home === MAIN ? 'documents' : home}.ts`, lines.join('\n')];
    }),
  );
}

const helpers = [
  'type Part = string | [string];',
  '',
  "export const fields = (...parts: Part[]): [string] => [parts.join('')];",
  '',
  'export function document<Data, Variables>(...parts: Part[]): TypedDocument<Data, Variables> {',
  "  return parts.join('') as unknown as TypedDocument<Data, Variables>;",
  '}',
  '',
  'export function mutation<Data, Variables>(field: string, ...parts: Part[]) {',
  '  const name = field.charAt(0).toUpperCase() + field.slice(1);',
  "  const start = 'mutation ' + name + '($input:' + name + 'Input!){' + field + '(input:$input){';",
  "  return document<Data, Variables>(start, ...parts, '}}');",
  '}',
  '',
];

/** The parts of a selection as arguments. Every second one is the name of a fragment. */
const listOf = (code) =>
  code
    .split(/\.{3}(?!on\b)(\w+)/)
    // After a fragment, a space is needed only before a name.
    .map((part, index) => (index % 2 === 1 ? part : part && `'${index > 0 && /^\w/.test(part) ? ' ' : ''}${part}'`))
    .filter(Boolean)
    .join(', ');

const suffix = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' };

function constantOf({ name, kind, code }) {
  const type = `types.${name}${suffix[kind]}`;
  // Most mutations have the same form, of which only the selection differs.
  const field = name.charAt(0).toLowerCase() + name.slice(1);
  const start = `mutation ${name}($input:${name}Input!){${field}(input:$input){`;
  const isShort = code.startsWith(start) && code.endsWith('}}');
  const list = isShort ? `'${field}', ${listOf(code.slice(start.length, -2))}` : listOf(code);
  const create = isShort ? 'mutation' : 'document';
  return `export const ${name}Document = /* @__PURE__ */ ${create}<${type}, ${type}Variables>(${list});`;
}

/** Fragments after those that they contain. */
function inOrder(fragments) {
  const ordered = new Map();
  const add = (name) => {
    if (ordered.has(name)) return;
    for (const [, other] of fragments.get(name).matchAll(/\.{3}(?!on\b)(\w+)/g)) add(other);
    ordered.set(name, fragments.get(name));
  };
  for (const name of fragments.keys()) add(name);
  return [...ordered];
}

function hashesOf(persisted) {
  const { operations } = operationsOf(persisted);
  return [
    '// Generated by `npm run codegen`.',
    '',
    "/** The hashes of the client's operations by their names, for `createParley({ persistedDocuments: hashes })`. */",
    'export const hashes: Record<string, string> = {',
    ...operations.map(({ name, hash }) => `  ${name}: '${hash.replace(/^sha256:/, '')}',`),
    '};',
    '',
  ].join('\n');
}
