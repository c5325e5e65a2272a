import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { badInput, ChatError } from '../core/errors.js';
import type { Config } from '../infra/config/config.js';
import { ConfigError } from '../infra/config/config-error.js';
import type { Logger } from '../infra/telemetry/log.js';
import type { Documents } from './documents.js';

/** The document of a request: its text, or the id of a persisted document. */
interface DocumentRequest {
  query?: string | null | undefined;
  /** The id in the format of GraphQL over HTTP, with an optional prefix `sha256:`. */
  documentId?: unknown;
  /** The id in Apollo's format: `{ persistedQuery: { sha256Hash } }`. */
  extensions?: Readonly<Record<string, unknown>> | null | undefined;
}

/** The documents that clients can request by id. Optionally, all other documents are rejected. */
export interface PersistedDocuments {
  /**
   * The text of the requested document, or undefined if the request contains neither a text nor an id.
   * @throws {ChatError} BAD_USER_INPUT if the id is unknown; FORBIDDEN if only persisted documents are accepted and the
   *   text is not one of them.
   */
  textOf(request: DocumentRequest): string | undefined;
}

// Apollo's clients recognize these messages and then send the text, once or from then on.
const NOT_FOUND = 'PersistedQueryNotFound';
const NOT_SUPPORTED = 'PersistedQueryNotSupported';

const contents = z.record(z.string(), z.string());

/**
 * Reads the file PERSISTED_DOCUMENTS and validates its documents.
 * @param more documents of the server's own clients, which are accepted as well.
 * @throws {ConfigError} if the file cannot be read or does not contain a JSON object that maps hashes to documents.
 */
export async function openPersistedDocuments(
  { persistedDocuments: path, persistedDocumentsOnly: only }: Config,
  documents: Documents,
  log: Logger,
  more: ReadonlyMap<string, string> = new Map(),
): Promise<PersistedDocuments> {
  const own = path === undefined ? undefined : await readList(path);
  const known = new Map([...more, ...(own ?? [])]);
  const texts = new Set(known.values());
  for (const [id, text] of own ?? []) {
    const read = documents.read(text);
    // Not an error: the document may belong to older or newer clients, and all others remain usable.
    if ('errors' in read)
      log.warn({ id, errors: read.errors.map(({ message }) => message) }, 'persisted document is invalid');
  }
  return {
    textOf(request) {
      const id = idOf(request);
      const text = request.query ? request.query : undefined;
      const found = id === undefined ? undefined : known.get(id);
      if (found !== undefined) return found;
      if (only && text !== undefined && !texts.has(text)) {
        throw new ChatError('FORBIDDEN', 'This server accepts only its persisted documents.');
      }
      // Apollo's client sends both the text and the id after the id was rejected as unknown.
      if (text === undefined && id !== undefined) throw badInput('documentId', own ? NOT_FOUND : NOT_SUPPORTED);
      return text;
    },
  };
}

async function readList(path: string): Promise<ReadonlyMap<string, string>> {
  try {
    const list = contents.parse(JSON.parse(await readFile(path, 'utf8')));
    return new Map(Object.entries(list).map(([id, text]) => [plainId(id), text]));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ConfigError(`PERSISTED_DOCUMENTS: ${path} is not a JSON object that maps hashes to documents: ${why}`);
  }
}

function idOf({ documentId, extensions }: DocumentRequest): string | undefined {
  if (typeof documentId === 'string') return plainId(documentId);
  const persisted = extensions?.['persistedQuery'];
  if (typeof persisted !== 'object' || persisted === null || !('sha256Hash' in persisted)) return undefined;
  return typeof persisted.sha256Hash === 'string' ? plainId(persisted.sha256Hash) : undefined;
}

/** Some code generators and clients prefix the hash with its algorithm. */
const plainId = (id: string) => id.replace(/^sha256:/, '');
