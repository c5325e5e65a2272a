import type { CodegenConfig } from '@graphql-codegen/cli';

const config = {
  documentMode: 'string',
  // A newer server may send enum values that this schema does not contain.
  futureProofEnums: true,
  enumType: 'string-literal',
  strictScalars: true,
  scalars: { Bytes: 'string', DateTime: 'string', ID: 'string' },
  useTypeImports: true,
};

const output = (...documents: string[]) => ({
  documents,
  preset: 'client' as const,
  // Documents are strings, because the app has no use for their syntax trees.
  presetConfig: { fragmentMasking: false, persistedDocuments: { hashAlgorithm: 'sha256' } },
  config,
});

// The typed operations of the app. `npm run codegen` writes them, and they are committed, because generating them would
// double the time that `npm start` takes to build the app.
const codegen: CodegenConfig = {
  schema: 'schema.graphql',
  importExtension: '.ts',
  generates: {
    'web/src/generated/': output('web/src/person.graphql', 'web/src/operations.graphql'),
    'web/src/generated/screens/': output('web/src/person.graphql', 'web/src/screens.graphql'),
  },
};

export default codegen;
