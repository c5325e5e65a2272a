import type { CodegenConfig } from '@graphql-codegen/cli';

const config: CodegenConfig = {
  // A copy of the schema of your server.
  schema: '../../../../schema.graphql',
  documents: ['src/*.ts'],
  generates: {
    'src/generated/': {
      preset: 'client',
      presetConfig: { fragmentMasking: false },
      config: {
        futureProofEnums: true,
        enumType: 'string-literal',
        strictScalars: true,
        scalars: { Bytes: 'string', DateTime: 'string', ID: 'string' },
        useTypeImports: true,
      },
    },
  },
};

export default config;
