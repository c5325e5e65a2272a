import type { DocumentNode } from 'graphql';
import type { Config } from '../infra/config/config.js';

/** Bytes that a parsed document takes for each of its tokens (measured: up to 480). */
const BYTES_PER_TOKEN = 500;
/** Bytes that a subscription takes beside what its client sent. */
const BYTES_PER_SUBSCRIPTION = 1_000;

/** About how many bytes a parsed document takes, its text included. */
export const bytesOf = (document: DocumentNode): number =>
  (document.loc?.source.body.length ?? 0) + (document.tokenCount ?? 0) * BYTES_PER_TOKEN;

/** What is kept of what a client sent, for as long as its subscription lasts. */
interface KeptText {
  document: DocumentNode;
  /** The id of the operation and the values of its variables, in bytes or characters. */
  length: number;
}

/** Bytes that are kept for somebody. A document counts once, however many of their subscriptions are of it. */
class Account {
  #bytes = 0;
  readonly #documents = new Map<DocumentNode, number>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get isEmpty(): boolean {
    return this.#documents.size === 0;
  }

  hasRoomFor({ document, length }: KeptText): boolean {
    const ofDocument = this.#documents.has(document) ? 0 : bytesOf(document);
    return this.#bytes + ofDocument + length + BYTES_PER_SUBSCRIPTION <= this.#max;
  }

  add({ document, length }: KeptText): void {
    const count = this.#documents.get(document) ?? 0;
    this.#documents.set(document, count + 1);
    this.#bytes += length + BYTES_PER_SUBSCRIPTION + (count === 0 ? bytesOf(document) : 0);
  }

  remove({ document, length }: KeptText): void {
    const count = (this.#documents.get(document) ?? 0) - 1;
    if (count > 0) this.#documents.set(document, count);
    else this.#documents.delete(document);
    this.#bytes -= length + BYTES_PER_SUBSCRIPTION + (count === 0 ? bytesOf(document) : 0);
  }
}

/** For whom something is kept. */
interface Keeper {
  /** The connection. */
  connection: object;
  /** Undefined where there is no limit for one person: the service's own bot. */
  userId: string | undefined;
  /** As `networkOf` has it. */
  network: string;
}

/** Bounds what a node keeps of clients' text: for a connection, a person and an address. */
export interface Kept {
  /** Undefined where there is no room; otherwise it counts until what it gives back is called, once. */
  keep(keeper: Keeper, text: KeptText): (() => void) | undefined;
  /** Counts bytes, more or fewer, of frames that have come in part; false where an address has too many. */
  partial(network: string, bytes: number): boolean;
}

export function createKept({
  keptBytesPerConnectionMax,
  keptBytesPerPersonMax,
  keptBytesPerAddressMax,
}: Pick<Config, 'keptBytesPerConnectionMax' | 'keptBytesPerPersonMax' | 'keptBytesPerAddressMax'>): Kept {
  const connections = new WeakMap<object, Account>();
  const people = new Map<string, Account>();
  const networks = new Map<string, Account>();
  const partial = new Map<string, number>();
  return {
    partial(network, bytes) {
      const now = (partial.get(network) ?? 0) + bytes;
      if (now > 0) partial.set(network, now);
      else partial.delete(network);
      return now <= keptBytesPerAddressMax;
    },
    keep({ connection, userId, network }, text) {
      const own = connections.get(connection) ?? new Account(keptBytesPerConnectionMax);
      const ofPerson = userId === undefined ? undefined : (people.get(userId) ?? new Account(keptBytesPerPersonMax));
      const ofNetwork = networks.get(network) ?? new Account(keptBytesPerAddressMax);
      const accounts = [own, ofNetwork, ...(ofPerson ? [ofPerson] : [])];
      if (!accounts.every((account) => account.hasRoomFor(text))) return undefined;
      connections.set(connection, own);
      networks.set(network, ofNetwork);
      if (userId !== undefined && ofPerson) people.set(userId, ofPerson);
      for (const account of accounts) account.add(text);
      let isKept = true;
      return () => {
        if (!isKept) return;
        isKept = false;
        for (const account of accounts) account.remove(text);
        // A new one may have taken its place meanwhile.
        if (ofNetwork.isEmpty && networks.get(network) === ofNetwork) networks.delete(network);
        if (userId !== undefined && ofPerson?.isEmpty && people.get(userId) === ofPerson) people.delete(userId);
      };
    },
  };
}
