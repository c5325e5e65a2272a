import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { badInput, ChatError } from '../core/errors.js';
import type { Config } from '../infra/config/config.js';
import { ConfigError } from '../infra/config/config-error.js';
import type { Logger } from '../infra/telemetry/log.js';
import type { Documents } from './documents.js';

/** What a client sends to be carried out: a text, or the id of one that is known here. */
interface Asked {
  query?: string | null | undefined;
  /** As GraphQL over HTTP has it; `sha256:` may stand before. */
  documentId?: unknown;
  /** As Apollo has it: `{ persistedQuery: { sha256Hash } }`. */
  extensions?: Readonly<Record<string, unknown>> | null | undefined;
}

/** The documents that clients may ask for by id, and whether these are all that is taken. */
export interface PersistedDocuments {
  /**
   * The text of what is asked for; undefined when there is none, neither as text nor by id.
   * @throws {ChatError} BAD_USER_INPUT of an id that is unknown; FORBIDDEN: a text that is none of these.
   */
  textOf(asked: Asked): string | undefined;
}

// Apollo's clients look for these two messages, and send the text then, once or from then on.
const NOT_FOUND = 'PersistedQueryNotFound';
const NOT_SUPPORTED = 'PersistedQueryNotSupported';

const contents = z.record(z.string(), z.string());

/** @throws {ConfigError} when the file cannot be read or is not such a list. */
export async function openPersistedDocuments(
  { persistedDocuments: path, persistedDocumentsOnly: only }: Config,
  documents: Documents,
  log: Logger,
): Promise<PersistedDocuments> {
  const known = path === undefined ? undefined : await readList(path);
  const texts = new Set(known?.values());
  for (const [id, text] of known ?? []) {
    const read = documents.read(text);
    // It may be of clients that are older or newer than this server: the others go on.
    if (Array.isArray(read))
      log.warn({ id, errors: read.map(({ message }) => message) }, 'persisted document is invalid');
  }
  return {
    textOf(asked) {
      const id = idOf(asked);
      const text = asked.query ? asked.query : undefined;
      const found = id === undefined ? undefined : known?.get(id);
      if (found !== undefined) return found;
      if (only && text !== undefined && !texts.has(text)) {
        throw new ChatError('FORBIDDEN', 'This server accepts only its persisted documents.');
      }
      // Apollo's client sends both when it was told that the id is not known.
      if (text === undefined && id !== undefined) throw badInput('documentId', known ? NOT_FOUND : NOT_SUPPORTED);
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

function idOf({ documentId, extensions }: Asked): string | undefined {
  if (typeof documentId === 'string') return plainId(documentId);
  const persisted = extensions?.['persistedQuery'];
  if (typeof persisted !== 'object' || persisted === null || !('sha256Hash' in persisted)) return undefined;
  return typeof persisted.sha256Hash === 'string' ? plainId(persisted.sha256Hash) : undefined;
}

/** Codegen writes the algorithm before a hash where it was told which, and clients send it or not. */
const plainId = (id: string) => id.replace(/^sha256:/, '');
