import type { CodegenConfig } from '@graphql-codegen/cli';

// Typed operations for the tests' clients, and what a frontend copies: see "Typed operations" in the README.
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['test/clients/**/*.ts'],
  generates: {
    'test/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        // Every enum is open: a newer server may say more.
        futureProofEnums: true,
        enumsAsTypes: true,
        scalars: { DateTime: 'string', ID: 'string' },
        useTypeImports: true,
      },
    },
  },
};

export default config;
