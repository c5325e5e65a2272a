import type { Conversation, Membership, Message, Prisma } from '../../generated/prisma/client.js';
import type { Db, SqlTransaction, Tx } from '../../infra/database/database.js';
import type { Deps } from '../../platform/deps.js';
import { defineExtensionPoint } from '../../platform/feature.js';
import type { Mentions } from './message.mentions.js';

// A part is data that belongs to messages but not to the message feature, for example reactions, the quoted message, or
// the search index. Its feature registers it with `contributes: [messageParts.with(part)]`.

/**
 * The values that parts load with every message, by the name of the part: `message.parts.reactions`. A feature adds its
 * value by declaration merging.
 */
// biome-ignore lint/suspicious/noEmptyInterface: features add properties.
export interface MessageParts {}

/**
 * The input of `sendMessage`, with the ids of rows instead of global ids. A feature adds its fields by declaration
 * merging.
 */
export interface SendMessageInput {
  conversationId: string;
  text?: string | null | undefined;
  clientMessageId?: string | null | undefined;
}

/** A type of change of messages, which the change log stores and the stream `messages` delivers. */
export interface MessageChangeType {
  /** The type in the change log. */
  readonly type: string;
  /** The value of the enum `MessageEventType`. */
  readonly event: string;
  /** The description of that value in the schema. */
  readonly description: string;
  /** Whether the message has another text afterwards, which can mention other users. */
  readonly changesText?: boolean;
}

export const defineMessageChangeType = (
  event: string,
  description: string,
  more: Pick<MessageChangeType, 'changesText'> = {},
): MessageChangeType => ({ type: `MESSAGE_${event}`, event, description, ...more });

/**
 * A value that is loaded with every message, so that events need no further query. It must be the same for all viewers.
 */
interface LoadedPart<Value> {
  /** Increase it whenever the JSON of the value changes: nodes with another version then load the value themselves. */
  readonly version: number;
  /** The value of a new message that was sent without this part. */
  readonly empty: Value;
  /** Loads the values of these messages, in the same order, with a constant number of statements. */
  load(db: Db | Tx, messages: readonly Message[]): Promise<readonly Value[]>;
  /** Restores, in place, values that JSON does not preserve, such as dates. */
  revive?(value: Value): void;
}

type OwnColumn =
  | ('id' | 'conversationId' | 'seq' | 'kind' | 'senderId' | 'text' | 'createdAt' | 'editedAt' | 'deletedAt')
  | ('clientMessageId' | 'inputHash' | 'mentionedIds' | 'mentionsEveryone' | 'systemEvent');

/** The columns of `messages` that belong to parts. */
export type PartColumns = Partial<Omit<Message, OwnColumn>>;

/** The value of a part in the input of `sendMessage`, and the message that it belongs to. */
interface Sent<Given> {
  message: Pick<Message, 'id' | 'conversationId'>;
  given: Given;
}

/** The sender's membership and the locked conversation of a message that is being sent. */
interface SendState {
  sender: Membership;
  conversation: Conversation;
}

/**
 * Processes the values of one part for the messages that are sent in one transaction, one after another, under the
 * locks of their conversations.
 */
export interface SendBatch<Given, Value> {
  /**
   * Checks whether the sender can send this value.
   * @throws {ChatError} if not; the message is not sent then.
   */
  check?(sent: Sent<Given>, state: SendState): void;
  /**
   * Returns the loaded value of the message and the columns of its row. If it throws, this message is not sent, and the
   * call fails with that error.
   */
  attach(sent: Sent<Given>): { value?: Value; columns?: PartColumns };
}

/** How a part is read from the input of `sendMessage` and stored. */
export interface SentPart<Given, Value> {
  /**
   * Reads and validates the part's fields of the input. It returns undefined if the message does not contain the part;
   * no other function is called for it then.
   * @throws {ChatError} BAD_USER_INPUT with the path of the field.
   */
  read(deps: Deps, input: SendMessageInput): Given | undefined;
  /** Whether a message with this part can be sent without a text. */
  readonly replacesText?: true;
  /**
   * Whether the part is the encrypted content of a message. Every message of an encrypted conversation has such a part and
   * no text, and messages of other conversations have none.
   */
  readonly encrypts?: true;
  /** Finds the users that the part mentions, in place of those that the text does. */
  findMentions?(db: Db | Tx, conversationId: string, given: Given): Promise<Mentions>;
  /**
   * For a part that encrypts: checks a value that replaces the content of a message of a locked conversation.
   * @returns the loaded value; undefined if the message has this content already.
   * @throws {ChatError} if the sender cannot send this value.
   */
  replace?(tx: Tx, replacing: Sent<Given>, state: SendState): Promise<Value | undefined>;
  /**
   * Returns strings that identify the value, beginning with the name of the part. A retry with the same key and other
   * strings is a CONFLICT.
   */
  identify(given: Given): readonly string[];
  /** Queries what a batch needs, in as few statements as possible, after the conversations have been locked. */
  begin(sql: SqlTransaction, sent: readonly Sent<Given>[]): SendBatch<Given, Value> | Promise<SendBatch<Given, Value>>;
  /** Stores rows that belong to messages that were just inserted, in the same transaction. */
  store?(sql: SqlTransaction, sent: readonly Sent<Given>[]): Promise<void>;
}

/**
 * A column of `messages` that only this part uses, derived from the text and from what else belongs to the message since
 * it was sent. It is stored with the message, stored again when the text is edited, and set to NULL when the message is
 * deleted.
 *
 * During a rolling update, nodes of an older release do not know the column: they edit and delete messages without changing
 * it. The migration that adds the column must therefore add a trigger that sets it to NULL when the text changes without
 * it (`unindex_message` of the column `search` is an example), and must keep the trigger as long as such nodes can run.
 */
interface DerivedColumn<Derived> {
  readonly name: string;
  /** The type in PostgreSQL. */
  readonly type: string;
  /**
   * Derives what depends on the text alone (empty if the message has none), before anything is locked. Return a promise
   * only if the work takes long, because it delays every send.
   */
  derive(deps: Deps, text: string): Derived | Promise<Derived>;
  /**
   * The value in PostgreSQL's text format, or the empty string for NULL. If it throws, this message is not sent or not
   * edited, and the call fails with that error.
   */
  valueOf(message: Message & { parts: MessageParts }, derived: Derived): string;
}

/**
 * What users add to messages of other users, such as reactions. It is deleted together with a deleted account's
 * messages.
 */
interface Contributions {
  /** The type of the change that is recorded for each message. */
  readonly change: MessageChangeType;
  /** Selects the ids (uuid) of the messages to which the user contributed. */
  messageIdsOf(userId: string): Prisma.Sql;
  /** Removes what the user contributed to these messages of a locked conversation. */
  remove(tx: Tx, userId: string, messageIds: readonly string[]): Promise<void>;
}

/** The definition of a part. All properties except the name are optional. */
export interface MessagePart<Value = unknown, Given = unknown, Derived = unknown> {
  readonly name: string;
  /** Types of changes that the part records with `changeMessage`. */
  readonly changes?: readonly MessageChangeType[];
  readonly loaded?: LoadedPart<Value>;
  readonly sent?: SentPart<Given, Value>;
  readonly column?: DerivedColumn<Derived>;
  readonly contributions?: Contributions;
  /** Deletes the part's data of messages of one locked conversation that are being deleted. */
  clear?(tx: Tx, messageIds: readonly string[]): Promise<void>;
  /** The values of the part's columns in a deleted message. */
  readonly cleared?: PartColumns;
}

type ValueOf<Name> = Name extends keyof MessageParts ? MessageParts[Name] : never;
type Definition<Name, Given, Derived> = Omit<MessagePart<ValueOf<Name>, Given, Derived>, 'name' | 'loaded'> &
  (Name extends keyof MessageParts ? { loaded: LoadedPart<MessageParts[Name]> } : { loaded?: never });

/**
 * Defines a part.
 * @param name the name of the part. If `MessageParts` has a property of this name, the part must define `loaded`.
 */
export const defineMessagePart = <const Name extends string, Given = never, Derived = never>(
  name: Name,
  part: Definition<Name, Given, Derived>,
): MessagePart => ({ name, ...part }) as unknown as MessagePart;

/** A part that the input of `sendMessage` contained, with its value. */
export interface GivenPart {
  part: MessagePart;
  sent: SentPart<unknown, unknown>;
  given: unknown;
}

/** The values derived from a text, one for each derived column. */
export type DerivedValues = readonly unknown[];

/** All registered parts combined. */
export interface CombinedParts {
  readonly changes: readonly MessageChangeType[];
  /** The names and versions of the parts. Nodes with the same value understand each other's messages. */
  readonly format: string;
  /** The values of a new message that contains only text. */
  readonly empty: MessageParts;
  /** Loads the values of these messages, in the same order. */
  load(db: Db | Tx, messages: readonly Message[]): Promise<MessageParts[]>;
  revive(values: MessageParts): void;
  readGiven(deps: Deps, input: SendMessageInput): readonly GivenPart[];
  /** Reads the part that encrypts a message; undefined if the input does not contain one. */
  readEncrypted(deps: Deps, input: SendMessageInput): GivenPart | undefined;
  readonly columns: readonly { name: string; type: string }[];
  derive(deps: Deps, text: string): DerivedValues | Promise<DerivedValues>;
  /** The values of `columns`, in the same order and in PostgreSQL's text format. */
  columnValues(message: Message & { parts: MessageParts }, derived: DerivedValues): string[];
  readonly contributions: readonly Contributions[];
  clear(tx: Tx, messageIds: readonly string[]): Promise<void>;
  readonly cleared: PartColumns;
}

/** Types of changes that the stream `messages` delivers and that are not about a message. */
export const streamedChanges = defineExtensionPoint<MessageChangeType>('changes of the stream messages');

export const messageParts = defineExtensionPoint('message parts', combine);

/** @throws {Error} if two parts have the same name, or two changes the same type. */
function combine(parts: readonly MessagePart[]): CombinedParts {
  const changes = parts.flatMap((part) => part.changes ?? []);
  checkUnique(parts.map(({ name }) => name));
  checkUnique(changes.map(({ type }) => type));
  const loaded = parts.flatMap(({ name, loaded }) => (loaded ? [{ name, loaded }] : []));
  const revived = loaded.filter((part) => part.loaded.revive);
  const sendable = parts.flatMap((part) => (part.sent ? [{ part, sent: part.sent }] : []));
  const columns = parts.flatMap((part) => part.column ?? []);
  return {
    changes,
    format: loaded.map((part) => `${part.name}=${part.loaded.version}`).join(' '),
    empty: Object.freeze(
      Object.fromEntries(loaded.map((part) => [part.name, part.loaded.empty])),
    ) as unknown as MessageParts,
    async load(db, messages) {
      const values = messages.map((): Record<string, unknown> => ({}));
      if (messages.length === 0) return [];
      for (const part of loaded) {
        const found = await part.loaded.load(db, messages);
        for (const [index, each] of values.entries()) each[part.name] = found[index];
      }
      return values as unknown as MessageParts[];
    },
    revive(values) {
      for (const part of revived) part.loaded.revive?.((values as object as Record<string, unknown>)[part.name]);
    },
    readGiven(deps, input) {
      const all: GivenPart[] = [];
      for (const { part, sent } of sendable) {
        const given = sent.read(deps, input);
        if (given !== undefined) all.push({ part, sent, given });
      }
      return all;
    },
    readEncrypted(deps, input) {
      for (const { part, sent } of sendable) {
        const given = sent.encrypts ? sent.read(deps, input) : undefined;
        if (given !== undefined) return { part, sent, given };
      }
      return undefined;
    },
    columns,
    derive(deps, text) {
      const values = columns.map((column) => column.derive(deps, text));
      return values.some((value) => value instanceof Promise) ? Promise.all(values) : values;
    },
    columnValues: (message, derived) => columns.map((column, index) => column.valueOf(message, derived[index])),
    contributions: parts.flatMap((part) => part.contributions ?? []),
    async clear(tx, messageIds) {
      for (const part of parts) await part.clear?.(tx, messageIds);
    },
    cleared: Object.assign({}, ...parts.map(({ cleared }) => cleared)),
  };
}

function checkUnique(names: readonly string[]): void {
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new Error(`Two message parts define ${twice}`);
}
