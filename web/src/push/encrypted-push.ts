// Opens the message of an encrypted push, in the service worker, which loads this file only for that. web/vite.config.ts bundles it.
import { createParley } from '@parley/client';
import { type E2ee, type EncryptedMessage, e2eeDocuments, indexedDbStorage, openE2ee } from '@parley/e2ee';
import { keysOf } from '../encryption/keys.ts';
import {
  EncryptionDevicesDocument,
  PushedMessageDocument,
  type PushedMessageQuery,
} from '../generated/screens/graphql.ts';

/** The push of an encrypted message, as far as this needs it. */
interface EncryptedPush {
  conversationId: string;
  messageId: string;
}

/** For how long opening a message may take, in milliseconds: browsers end service workers that show no notification. */
const TIMEOUT_MS = 10_000;
/** How many characters of a text are shown. */
const TEXT_MAX = 400;

type PushedMessage = Extract<NonNullable<PushedMessageQuery['node']>, { clientMessageId?: unknown }>;

/**
 * The text of the notification of an encrypted message.
 * @throws Error if this browser cannot open it, for example because it has no keys or no connection.
 */
async function openPush({ conversationId, messageId }: EncryptedPush): Promise<{ body: string }> {
  const parley = createParley({ url: new URL('/graphql', location.origin).href, sync: false });
  let e2ee: E2ee | undefined;
  const open = async () => {
    const { viewer, node } = await parley.request(PushedMessageDocument, { id: messageId });
    const message = node as PushedMessage | null;
    if (!viewer || !message?.encrypted || message.conversation?.id !== conversationId) throw new Error('It is gone.');
    const name = keysOf(viewer.user.id);
    e2ee = await openE2ee({
      storage: await indexedDbStorage(name),
      lockName: name,
      async execute(document, variables) {
        if (document !== e2eeDocuments.E2eeRegisterDevice) return parley.request(document, variables);
        // Pages register the device, with the name that the user has given it.
        const { signatureKey } = variables['input'] as { signatureKey: string };
        const found = await parley.request(EncryptionDevicesDocument);
        const device = found.viewer?.user.devices?.find((each) => each.signatureKey === signatureKey);
        if (!device) throw new Error('This browser is not registered.');
        return { registerDevice: { device: { id: device.id } } };
      },
    });
    const { content } = await e2ee.conversation(conversationId).open(message as EncryptedMessage);
    const text = shorten((content.text ?? '').replace(/\s+/g, ' ').trim());
    if (text === '') throw new Error('It has no text.');
    const isDirect = message.conversation.kind === 'DIRECT';
    return { body: isDirect ? text : `${message.sender?.displayName ?? ''}: ${text}` };
  };
  const timeout = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('It took too long.')), TIMEOUT_MS);
  });
  try {
    return await Promise.race([open(), timeout]);
  } finally {
    e2ee?.close();
    await parley.close();
  }
}

/** Cuts a text between characters, as the server does for other messages. */
function shorten(text: string): string {
  const characters = Array.from(new Intl.Segmenter().segment(text.slice(0, TEXT_MAX * 4)), ({ segment }) => segment);
  return characters.length > TEXT_MAX ? `${characters.slice(0, TEXT_MAX).join('')}…` : text;
}

Object.assign(globalThis, { openPush });
