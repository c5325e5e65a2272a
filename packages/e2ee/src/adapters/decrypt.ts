import type { E2ee, EncryptedMessage } from '../e2ee.js';
import { E2eeError } from '../errors.js';

/** How the adapters decrypt. */
export interface DecryptionOptions {
  /** Called with each message that could not be decrypted, whose `text` is null. */
  onError?: (error: unknown, message: EncryptedMessage) => void;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/**
 * A copy of the data of a response in which the encrypted messages have their `text`. Messages need the selection
 * `encryptedMessageFields`; `conversation` can be missing inside of an object of the type `Conversation`.
 */
export async function decryptData<Data>(e2ee: E2ee, data: Data, { onError }: DecryptionOptions = {}): Promise<Data> {
  const visit = async (value: unknown, conversationId: string | undefined): Promise<unknown> => {
    if (Array.isArray(value)) return Promise.all(value.map((item) => visit(item, conversationId)));
    if (!isObject(value)) return value;
    const isConversation = value['__typename'] === 'Conversation' && typeof value['id'] === 'string';
    const outside = isConversation ? (value['id'] as string) : conversationId;
    const own = (value['conversation'] as { id?: string } | null | undefined)?.id;
    const inside = own ?? outside;
    const fields = Object.entries(value).map(async ([name, field]) => [name, await visit(field, inside)] as const);
    const copy: Record<string, unknown> = Object.fromEntries(await Promise.all(fields));
    const { encrypted } = value as unknown as EncryptedMessage;
    if (!encrypted?.content || inside === undefined) return copy;
    const message = { ...(value as unknown as EncryptedMessage), conversation: { id: inside } };
    // A text that the server has added is not one of the sender.
    copy['text'] = null;
    try {
      if (outside !== undefined && inside !== outside) {
        throw new E2eeError('TAMPERED', 'The message belongs to another conversation than the one that contains it.');
      }
      const { content } = await e2ee.conversation(inside).open(message);
      copy['text'] = content.text ?? null;
    } catch (error) {
      onError?.(error, message);
    }
    return copy;
  };
  return (await visit(data, undefined)) as Data;
}
