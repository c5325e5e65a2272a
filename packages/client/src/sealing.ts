import { ParleyError } from './errors.js';
import type { Request } from './request.js';
import type { State } from './state.js';
import type { Store } from './store.js';

/**
 * Whether the content of a message is what its sender has encrypted:
 * - `protected`: this device has opened and verified it.
 * - `opening`: it is being opened, or waits for the keys or for the connection.
 * - an `error`: the code of an `E2eeError` of `@parley/e2ee`. The content is not shown.
 */
export type Protection = 'protected' | 'opening' | { readonly error: string };

/** How the file of an encrypted attachment is decrypted, as `@parley/e2ee` defines it. */
export interface FileSecret {
  key: string;
  size: number;
  digest: string;
  name?: string;
  mimeType?: string;
}

/** What the other entry points ask of `@parley/client/encryption`. */
export interface Sealing {
  /** Sends or edits a message with `request`, with encrypted content in place of the text. */
  request(request: Request, document: unknown, variables: { input: object }): Promise<never>;
  /** Resolves when a message is opened, or when it is clear that this takes longer. */
  opened(messageId: string): Promise<void>;
  /** Fetches messages that are not known yet, and resolves as `opened` does for all of them. */
  load(messageIds: readonly string[]): Promise<void>;
  /** Encrypts a file. `about` is put into the message. */
  encryptFile(file: Blob, about: object): Promise<{ blob: Blob; secret: FileSecret }>;
}

/** The encryption of a client; undefined until `@parley/client/encryption` is loaded. */
export const sealingOf = (state: State): Sealing | undefined => state.get('~sealing');

/** What sends texts to a conversation: `request`, unless the conversation is encrypted. */
export const sealed =
  ({ state, isEncrypted }: Store, conversationId: string, request: Request): Request =>
  async (document, variables) => {
    if (!isEncrypted(conversationId)) return request(document, variables);
    const sealing = sealingOf(state);
    if (sealing) return sealing.request(request, document, variables as never);
    throw new ParleyError('NOT_SET_UP', 'The conversation is encrypted.');
  };
