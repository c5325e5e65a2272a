import { ParleyError } from './errors.js';
import type { Request } from './request.js';
import type { State } from './state.js';
import type { Entity } from './storage.js';
import type { Store } from './store.js';

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
  /** What has to be sent to add or remove a reaction of the viewer to a message. */
  emojis(messageId: string, emoji: string, isAdded: boolean): Promise<string[]>;
  /** Encrypts a file. `about` is put into the message. */
  encryptFile(file: Blob, about: object): Promise<{ blob: Blob; secret: FileSecret }>;
}

/** The encryption of a client; undefined until `@parley/client/encryption` is loaded. */
export const sealingOf = (state: State): Sealing | undefined => state.get('~sealing');

function requireSealing(state: State): Sealing {
  const sealing = sealingOf(state);
  if (sealing) return sealing;
  throw new ParleyError('NOT_SET_UP', 'The conversation is encrypted.');
}

/** What sends texts to a conversation: `request`, unless the conversation is encrypted. */
export const sealed =
  ({ state, isEncrypted }: Store, conversationId: string, request: Request): Request =>
  async (document, variables) => {
    if (!isEncrypted(conversationId)) return request(document, variables);
    return requireSealing(state).request(request, document, variables as never);
  };

/** What has to be sent to add or remove a reaction of the viewer: the emoji, unless the message is encrypted. */
export async function emojisToSend(
  { state, isEncrypted }: Store,
  conversationId: string,
  messageId: string,
  emoji: string,
  isAdded: boolean,
): Promise<string[]> {
  // Messages from before the encryption are in plain text.
  const isPlain = state.get<Entity>(messageId)?.['encrypted'] === null;
  if (isPlain || !isEncrypted(conversationId)) return [emoji];
  return requireSealing(state).emojis(messageId, emoji, isAdded);
}
