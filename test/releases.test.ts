import { readdirSync, readFileSync } from 'node:fs';
import {
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLError,
  Kind,
  type OperationDefinitionNode,
  parse,
  print,
  Source,
  validate,
  visit,
} from 'graphql';
import { describe, expect, it } from 'vitest';
import { schema } from '../src/app/schema.js';
import { graphiqlOptions } from '../src/server/graphiql.js';
import * as clients from './clients/operations.js';

// Operations of clients of earlier releases keep working: test/releases/ contains those of each release's examples,
// and its schema, which `npm run check` compares with the present one.
// Files of published releases are never changed. For a new release: `RELEASE=write npx vitest run test/releases.test.ts`.

const folder = new URL('releases/', import.meta.url);
const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
const fileOf = (release: string) => new URL(`${release}.graphql`, folder);

/** All operations of the examples for Apollo, urql and GraphiQL, each once with its fragments. */
function operationsOfNow(): string[] {
  const tabs = (graphiqlOptions.defaultTabs ?? []).map(({ query }) => parse(query ?? '', { noLocation: true }));
  const documents: DocumentNode[] = [...Object.values(clients), ...tabs];
  const printed = documents.flatMap(({ definitions }) =>
    // Codegen adds __typename to each selection, which the written operations do not contain.
    definitions.map((definition) => print(visit(definition, { Field: withoutTypename }))),
  );
  return [...new Set(printed)].sort();
}

const withoutTypename = ({ name }: { name: { value: string } }) => (name.value === '__typename' ? null : undefined);

if (process.env['RELEASE'] === 'write') {
  const { writeFileSync } = await import('node:fs');
  writeFileSync(fileOf(version), `${operationsOfNow().join('\n\n')}\n`);
  writeFileSync(fileOf(`${version}.schema`), readFileSync('schema.graphql'));
}

const releases = readdirSync(folder)
  .filter((name) => !name.endsWith('.schema.graphql'))
  .map((name) => name.replace(/\.graphql$/, ''));

/** The validation errors of a release's operations in the present schema, each validated separately. */
function faultsOf(text: string): readonly GraphQLError[] {
  const { definitions } = parse(new Source(text));
  const fragments = definitions.filter(
    (definition): definition is FragmentDefinitionNode => definition.kind === Kind.FRAGMENT_DEFINITION,
  );
  const operations = definitions.filter(
    (definition): definition is OperationDefinitionNode => definition.kind === Kind.OPERATION_DEFINITION,
  );
  return operations.flatMap((operation) =>
    validate(schema, { kind: Kind.DOCUMENT, definitions: [operation, ...usedBy(operation, fragments)] }),
  );
}

function usedBy(
  definition: OperationDefinitionNode | FragmentDefinitionNode,
  fragments: readonly FragmentDefinitionNode[],
): FragmentDefinitionNode[] {
  const names = new Set<string>();
  visit(definition, { FragmentSpread: ({ name }) => void names.add(name.value) });
  const direct = fragments.filter(({ name }) => names.has(name.value));
  return [...new Set([...direct, ...direct.flatMap((fragment) => usedBy(fragment, fragments))])];
}

describe('the operations of a release', () => {
  it.each(releases)('are valid in the present schema: %s', (release) => {
    const text = readFileSync(fileOf(release), 'utf8');
    expect(text.match(/^(query|mutation|subscription) /gm)?.length).toBeGreaterThan(10);
    expect(faultsOf(text)).toEqual([]);
  });

  it('are recorded for the present release', () => {
    expect(releases).toContain(version);
    const kept = parse(readFileSync(fileOf(version), 'utf8')).definitions.map(print);
    expect(kept.sort()).toEqual(operationsOfNow());
  });

  it('are invalid if they contain a field that the schema lacks', () => {
    const text = readFileSync(fileOf(version), 'utf8');
    expect(faultsOf(text.replaceAll('clientMessageId', 'clientMessageKey'))).not.toEqual([]);
  });
});
