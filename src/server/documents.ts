import { type DocumentNode, type GraphQLError, type GraphQLSchema, parse, validate } from 'graphql';
import { LRUCache } from 'lru-cache';
import { presentError } from '../graphql/errors.js';
import type { Logger } from '../infra/log.js';

/** Characters of operations that are remembered, those used last: what they are parsed to takes some ten times that. */
const REMEMBERED_CHARS = 4 * 1024 * 1024;

/** The operations that clients send, each parsed and validated once: the same text gives the same document. */
export interface Documents {
  /** The document of an operation, or what is wrong with it, as clients are told. */
  read(text: string): DocumentNode | readonly GraphQLError[];
  /** For who parses on their own, and shares only the documents. */
  readonly cache: { get(text: string): DocumentNode | undefined; set(text: string, document: DocumentNode): void };
}

interface Entry {
  document: DocumentNode;
  /** Undefined until it is validated. */
  errors?: readonly GraphQLError[];
}

export function createDocuments(schema: GraphQLSchema, log: Logger): Documents {
  const entries = new LRUCache<string, Entry>({
    maxSize: REMEMBERED_CHARS,
    sizeCalculation: (_entry, text) => text.length + 1,
  });
  return {
    read(text) {
      let entry = entries.get(text);
      if (!entry) {
        try {
          entry = { document: parse(text) };
        } catch (error) {
          return [presentError(error, log)];
        }
        entries.set(text, entry);
      }
      entry.errors ??= validate(schema, entry.document).map((error) => presentError(error, log));
      return entry.errors.length > 0 ? entry.errors : entry.document;
    },
    cache: {
      get: (text) => entries.get(text)?.document,
      set: (text, document) => void entries.set(text, { document }),
    },
  };
}
