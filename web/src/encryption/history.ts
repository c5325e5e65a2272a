import type { Parley } from '@parley/client';
import type { E2ee, EncryptedMessage } from '@parley/e2ee';
import { EncryptedPageDocument, type EncryptedPageQuery } from '../generated/screens/graphql.ts';

type Found = NonNullable<NonNullable<EncryptedPageQuery['conversation']>['messages']>['nodes'][number];

/** An encrypted message that this browser has opened. */
export interface ReadMessage extends Omit<Found, 'attachments'> {
  text: string;
  attachments: { kind: 'IMAGE' | 'VIDEO' | 'AUDIO' | 'FILE'; filename: string; altText: string | null }[];
}

/** Some messages of a conversation, newest first. */
interface ReadPage {
  messages: readonly ReadMessage[];
  /** How many messages of the conversation, encrypted or not, have been read with this page and those before it. */
  count: number;
}

/** What has been read of a conversation. */
interface Known {
  pages: ReadPage[];
  /** The place before which the next page ends; undefined if there is none. */
  before: string | undefined;
  isComplete: boolean;
  reading: Promise<void> | undefined;
}

/** The history of encrypted conversations, as far as it has been read: it is read once, from its end. */
export interface History {
  /** The pages of a conversation, newest first. It reads them as they are asked for. */
  pages(conversationId: string): AsyncGenerator<ReadPage>;
}

export function createHistory(parley: Parley, e2ee: E2ee): History {
  const conversations = new Map<string, Known>();

  async function readPage(conversationId: string, known: Known): Promise<void> {
    const variables = { id: conversationId, before: known.before ?? null };
    const { conversation } = await parley.request(EncryptedPageDocument, variables);
    const { nodes = [], pageInfo } = conversation?.messages ?? {};
    const opened = await Promise.all(nodes.map((message) => open(conversationId, message)));
    const count = (known.pages.at(-1)?.count ?? 0) + nodes.length;
    known.pages.push({ messages: opened.flatMap((message) => message ?? []).reverse(), count });
    known.before = pageInfo?.startCursor ?? undefined;
    known.isComplete = !pageInfo?.hasPreviousPage;
  }

  async function open(conversationId: string, message: Found): Promise<ReadMessage | undefined> {
    if (!message.encrypted || message.deletedAt !== null || message.conversation?.id !== conversationId)
      return undefined;
    try {
      const { content } = await e2ee.conversation(conversationId).open(message as EncryptedMessage);
      const attachments = message.attachments.map(({ id, altText }) => {
        const { name = '', mimeType = '' } = content.attachments?.[id] ?? {};
        return { kind: kindOf(mimeType), filename: name, altText };
      });
      return { ...message, text: content.text ?? '', attachments };
    } catch {
      // It cannot be opened here, for example because it was sent before the user joined.
      return undefined;
    }
  }

  return {
    async *pages(conversationId) {
      const known = conversations.get(conversationId) ?? {
        pages: [],
        before: undefined,
        isComplete: false,
        reading: undefined,
      };
      conversations.set(conversationId, known);
      for (let index = 0; index < known.pages.length || !known.isComplete; index += 1) {
        if (index === known.pages.length) {
          // Another search can be reading it.
          known.reading ??= readPage(conversationId, known).finally(() => {
            known.reading = undefined;
          });
          await known.reading;
        }
        const page = known.pages[index];
        if (page) yield page;
      }
    },
  };
}

function kindOf(mimeType: string): ReadMessage['attachments'][number]['kind'] {
  const [type] = mimeType.split('/');
  return type === 'image' ? 'IMAGE' : type === 'video' ? 'VIDEO' : type === 'audio' ? 'AUDIO' : 'FILE';
}
