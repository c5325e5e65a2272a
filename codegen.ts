import type { CodegenConfig } from '@graphql-codegen/cli';
import { addTypenameSelectionDocumentTransform } from '@graphql-codegen/client-preset';

// Typed operations for the tests of the clients. A frontend copies this file: see docs/CLIENTS.md.
const config: CodegenConfig = {
  schema: 'schema.graphql',
  documents: ['test/clients/**/*.ts'],
  // ES modules in Node need the extension; bundlers accept it.
  importExtension: '.js',
  generates: {
    'test/generated/': {
      preset: 'client',
      // Fragments share selections and do not hide fields. Each document gets a hash, and all documents are
      // written to persisted-documents.json.
      presetConfig: { fragmentMasking: false, persistedDocuments: { hashAlgorithm: 'sha256' } },
      // Both clients request __typename anyway; with its type, the types of a Node can be distinguished.
      documentTransforms: [addTypenameSelectionDocumentTransform],
      config: {
        nonOptionalTypename: true,
        // A newer server may send enum values that this schema does not contain.
        futureProofEnums: true,
        enumType: 'string-literal',
        // A scalar that is not listed below is an error instead of `any`.
        strictScalars: true,
        scalars: { Bytes: 'string', DateTime: 'string', ID: 'string' },
        useTypeImports: true,
      },
    },
  },
};

export default config;
