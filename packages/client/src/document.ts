/**
 * A GraphQL document as a string, with the types of its result and of its variables. The documents that GraphQL Code
 * Generator writes with `documentMode: 'string'` have this type.
 */
export interface TypedDocument<Data, Variables> {
  toString(): string;
  /** Only carries types. */
  __apiType?: (variables: Variables) => Data;
}

/** The body of a request. */
export interface Payload {
  query: string;
  variables: Record<string, unknown>;
  extensions?: Record<string, unknown>;
  [field: string]: unknown;
}

/** The hashes of documents by the names of their operations. */
export type Hashes = Readonly<Record<string, string>> | undefined;

/**
 * Creates the body of a request. If the hash of the operation is known, it is sent instead of the text.
 * @throws TypeError if the document is not a string.
 */
export function payload(document: string | TypedDocument<unknown, never>, variables: object, hashes: Hashes): Payload {
  const query = String(document);
  const [, name] = /^\s*\w+\s+(\w+)/.exec(query) ?? [];
  if (query.startsWith('[object')) {
    throw new TypeError('The document must be a string: call print().');
  }
  const body = { query, variables: variables as Record<string, unknown> };
  const sha256Hash = hashes?.[name ?? ''];
  return sha256Hash ? { ...body, query: '', extensions: { persistedQuery: { version: 1, sha256Hash } } } : body;
}
