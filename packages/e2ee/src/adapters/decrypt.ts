import type { E2ee, EncryptedMessage } from '../e2ee.js';
import { E2eeError } from '../errors.js';
import { isSealedEmoji, type MessageReactions } from '../reactions.js';

/** How the adapters decrypt. */
export interface DecryptionOptions {
  /** Called with each message that could not be decrypted, whose `text` is null, or of which a reaction could not be decrypted. */
  onError?: (error: unknown, message: EncryptedMessage) => void;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

/** What is shown in place of the emoji of a reaction that cannot be decrypted: the replacement character of Unicode. */
const UNREADABLE = '\uFFFD';

/**
 * Replaces the encrypted emojis of a message.
 * @param reactions undefined if the message could not be decrypted.
 * @returns why a reaction could not be decrypted.
 */
async function showReactions(message: Record<string, unknown>, reactions?: MessageReactions): Promise<unknown> {
  let failure: unknown;
  const show = async (emoji: unknown) => {
    if (typeof emoji !== 'string' || !isSealedEmoji(emoji)) return emoji;
    if (!reactions) return UNREADABLE;
    return reactions.open(emoji).catch((error) => {
      failure = error;
      return UNREADABLE;
    });
  };
  const { reactions: groups, viewerReactions: own } = message;
  if (Array.isArray(groups)) {
    const shown = groups.map(async (group) => ({ ...group, emoji: await show(group.emoji) }));
    message['reactions'] = await Promise.all(shown);
  }
  if (Array.isArray(own)) message['viewerReactions'] = await Promise.all(own.map(show));
  return failure;
}

/**
 * A copy of the data of a response in which the encrypted messages have their `text`, and their reactions their emojis. Messages need the selection
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
      const { content, reactions } = await e2ee.conversation(inside).open(message);
      copy['text'] = content.text ?? null;
      const failure = await showReactions(copy, reactions);
      if (failure) onError?.(failure, message);
    } catch (error) {
      await showReactions(copy);
      onError?.(error, message);
    }
    return copy;
  };
  return (await visit(data, undefined)) as Data;
}
