import type { CodegenConfig } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

// Typed operations for the tests' clients, and what a frontend copies: see docs/CLIENTS.md.
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['test/clients/**/*.ts'],
  // What Node's own ES modules want; a bundler takes it too.
  importExtension: '.js',
  generates: {
    'test/generated/': {
      preset: 'client',
      // Plain objects, as the caches hold them: a fragment is for sharing a selection, not for hiding it.
      // Each document comes with its hash, and all together as persisted-documents.json.
      presetConfig: { fragmentMasking: false, persistedDocuments: { hashAlgorithm: 'sha256' } },
      // Both clients ask for __typename anyway: so it is typed too, and tells the types of a Node apart.
      documentTransforms: [addTypenameSelectionDocumentTransform],
      config: {
        nonOptionalTypename: true,
        // Every enum is open: a newer server may say more.
        futureProofEnums: true,
        enumType: 'string-literal',
        // A scalar that is not listed here is an error, not `any`.
        strictScalars: true,
        scalars: { DateTime: 'string', ID: 'string' },
        useTypeImports: true,
      },
    },
  },
};

export default config;
