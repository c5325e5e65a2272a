export { hashes } from './generated/hashes.js';

/** A document of GraphQL Code Generator with `persistedDocuments`, parsed or as a string. */
interface PersistedDocument {
  __meta__?: { hash?: string } | undefined;
  definitions?: readonly { kind: string; name?: { value: string } | undefined }[] | undefined;
}

/**
 * The hashes of your own documents by the names of their operations, for `createParley({ persistedDocuments })`.
 * @param documents generated documents with their hashes; anything else is ignored.
 */
export function hashesOf(documents: readonly object[]): Record<string, string> {
  const entries = documents.flatMap((document) => {
    const { __meta__: meta, definitions } = document as PersistedDocument;
    const operation = definitions?.find(({ kind }) => kind === 'OperationDefinition');
    const [, name = operation?.name?.value] =
      /^\s*(?:query|mutation|subscription)\s+(\w+)/.exec(String(document)) ?? [];
    return meta?.hash && name ? [[name, meta.hash.replace(/^sha256:/, '')] as const] : [];
  });
  return Object.fromEntries(entries);
}
