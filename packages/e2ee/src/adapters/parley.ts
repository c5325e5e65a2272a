import { type E2ee, type EncryptedMessage, encryptedMessageFields } from '../e2ee.js';
import { E2eeError } from '../errors.js';

/** A value that can be observed, as `@parley/client` defines it. */
interface Readable<T> {
  readonly value: T;
  subscribe(listener: (value: T) => void): () => void;
}

/** What this needs of the rows of a conversation of `@parley/client`. */
interface Row {
  text: string | null;
  message:
    | {
        id: string;
        sender?: { id: string } | null;
        editedAt?: string | null;
        deletedAt?: string | null;
        kind?: string;
      }
    | undefined;
}

/** What this needs of a client of `@parley/client`. */
interface ParleyLike {
  request(document: string, variables: Record<string, unknown>): Promise<unknown>;
}

/** Why the text of a row is not known. */
export interface RowFailure {
  error: unknown;
}

/** The view of a conversation with decrypted texts. */
export interface DecryptedConversation<View> extends Readable<View> {
  /** Why the text of a message is not known. */
  failure(messageId: string): RowFailure | undefined;
  /**
   * Whether the displayed text of a message is what its sender has encrypted. All other texts, such as those from before the
   * encryption, can have been written by the server: show them as not protected.
   */
  isProtected(messageId: string): boolean;
}

const DOCUMENT = `query E2eeMessages($ids: [ID!]!) { nodes(ids: $ids) { ... on Message { ${encryptedMessageFields} } } }`;
/** How many messages are fetched at once. */
const BATCH = 50;

/**
 * The view of a conversation of `@parley/client`, whose rows have the decrypted `text`. While a text is being decrypted, and if it
 * cannot be, it is null: `failure(id)` then returns why.
 */
export function decryptedConversation<View extends { rows: readonly Row[] }>(
  e2ee: E2ee,
  parley: ParleyLike,
  conversation: Readable<View> & { readonly id: string },
): DecryptedConversation<View> {
  /** Texts and failures by the message and its edit. */
  const texts = new Map<string, string | null>();
  const failures = new Map<string, RowFailure>();
  /** The messages whose displayed text was decrypted. */
  let isDecrypted = new Set<string>();
  /** The messages to fetch, as they are displayed. */
  const wanted = new Map<string, NonNullable<Row['message']>>();
  const listeners = new Set<(value: View) => void>();
  let stop = () => {};
  let isFetching = false;
  let view = conversation.value;
  let shown: View | undefined;

  const nameOf = ({ id, editedAt }: NonNullable<Row['message']>) => `${id} ${editedAt ?? ''}`;
  const isHidden = ({ text, message }: Row) =>
    text === null && message !== undefined && !message.deletedAt && (message.kind ?? 'USER') === 'USER';

  function update(): void {
    const decrypted = new Set<string>();
    const rows = view.rows.map((row) => {
      if (!isHidden(row) || !row.message) return row;
      const name = nameOf(row.message);
      if (!texts.has(name)) {
        wanted.set(row.message.id, row.message);
        return row;
      }
      const text = texts.get(name) ?? null;
      if (text !== null) decrypted.add(row.message.id);
      return { ...row, text };
    });
    isDecrypted = decrypted;
    shown = { ...view, rows };
    for (const listener of [...listeners]) listener(shown);
    if (wanted.size > 0 && !isFetching && listeners.size > 0) void fetchWanted();
  }

  async function fetchWanted(): Promise<void> {
    isFetching = true;
    try {
      while (wanted.size > 0 && listeners.size > 0) {
        const batch = [...wanted].slice(0, BATCH);
        const ids = batch.map(([id]) => id);
        const { nodes } = (await parley.request(DOCUMENT, { ids })) as { nodes: (EncryptedMessage | null)[] };
        await Promise.all(batch.map(([, row], index) => open(row, nodes[index])));
        for (const id of ids) wanted.delete(id);
      }
      isFetching = false;
      update();
    } catch {
      // The next change of the conversation, such as the end of a disconnection, tries again.
      isFetching = false;
    }
  }

  /** @param row the message as it is displayed. The server can have a later edit already. */
  async function open(row: NonNullable<Row['message']>, message: EncryptedMessage | null | undefined): Promise<void> {
    const { id } = row;
    const name = nameOf(row);
    failures.delete(id);
    try {
      const sender = message?.encrypted?.device.user.id;
      if (sender !== undefined && (message?.id !== id || (row.sender && row.sender.id !== sender))) {
        throw new E2eeError('TAMPERED', 'The server has answered with another message.');
      }
      const opened = message?.encrypted && (await e2ee.conversation(conversation.id).open(message));
      texts.set(name, opened?.content.text ?? null);
    } catch (error) {
      texts.set(name, null);
      failures.set(id, { error });
    }
  }

  return {
    get value() {
      return shown ?? conversation.value;
    },
    subscribe(listener) {
      listeners.add(listener);
      if (listeners.size === 1) {
        stop = conversation.subscribe((next) => {
          view = next;
          update();
        });
      } else if (shown) {
        listener(shown);
      }
      return () => {
        listeners.delete(listener);
        if (listeners.size === 0) stop();
      };
    },
    failure: (messageId) => failures.get(messageId),
    isProtected: (messageId) => isDecrypted.has(messageId),
  };
}
