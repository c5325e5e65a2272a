import type { CodegenConfig } from '@graphql-codegen/cli';

// The typed operations of the app. `npm run codegen` writes them, and they are committed, because generating them would
// double the time that `npm start` takes to build the app.
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['web/src/**/*.graphql'],
  importExtension: '.ts',
  generates: {
    'web/src/generated/': {
      preset: 'client',
      // Documents are strings, because the app has no use for their syntax trees.
      presetConfig: { fragmentMasking: false, persistedDocuments: { hashAlgorithm: 'sha256' } },
      config: {
        documentMode: 'string',
        // A newer server may send enum values that this schema does not know.
        futureProofEnums: true,
        enumType: 'string-literal',
        strictScalars: true,
        scalars: { DateTime: 'string', ID: 'string' },
        useTypeImports: true,
      },
    },
  },
};

export default config;
