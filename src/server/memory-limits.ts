import type { DocumentNode } from 'graphql';
import type { Config } from '../infra/config/config.js';

/** The estimated bytes of memory per token of a parsed document (measured: up to 480). */
const BYTES_PER_TOKEN = 500;
/** The estimated bytes of memory of a subscription in addition to what its client sent. */
const BYTES_PER_SUBSCRIPTION = 1_000;

/** Estimates the bytes of memory of a parsed document, including its text. */
export const bytesOf = (document: DocumentNode): number =>
  (document.loc?.source.body.length ?? 0) + (document.tokenCount ?? 0) * BYTES_PER_TOKEN;

/** Data of a client that stays in memory as long as its subscription exists. */
interface RetainedData {
  document: DocumentNode;
  /** The length of the operation's id and the values of its variables, in bytes or characters. */
  length: number;
}

/**
 * The bytes that are retained for one connection, user or network. A document counts once, even if several subscriptions
 * use it.
 */
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

  hasRoomFor({ document, length }: RetainedData): boolean {
    const ofDocument = this.#documents.has(document) ? 0 : bytesOf(document);
    return this.#bytes + ofDocument + length + BYTES_PER_SUBSCRIPTION <= this.#max;
  }

  add({ document, length }: RetainedData): void {
    const count = this.#documents.get(document) ?? 0;
    this.#documents.set(document, count + 1);
    this.#bytes += length + BYTES_PER_SUBSCRIPTION + (count === 0 ? bytesOf(document) : 0);
  }

  remove({ document, length }: RetainedData): void {
    const count = (this.#documents.get(document) ?? 0) - 1;
    if (count > 0) this.#documents.set(document, count);
    else this.#documents.delete(document);
    this.#bytes -= length + BYTES_PER_SUBSCRIPTION + (count === 0 ? bytesOf(document) : 0);
  }
}

/** The owner of retained data. */
interface Owner {
  /** The connection. */
  connection: object;
  /** The user, or undefined if there is no limit per user, as for the service key. */
  userId: string | undefined;
  /** The network of the client's address, as returned by `networkOf`. */
  network: string;
}

/** Limits the memory that a node uses for data from clients, per connection, user and network. */
export interface MemoryLimits {
  /**
   * Counts the data until the returned function is called. Returns undefined, and counts nothing, if a limit would be
   * exceeded.
   */
  reserve(owner: Owner, data: RetainedData): (() => void) | undefined;
  /** Adds bytes of incomplete frames, or subtracts them if negative. Returns false if the network exceeds its limit. */
  countPartialFrame(network: string, bytes: number): boolean;
}

export function createMemoryLimits({
  keptBytesPerConnectionMax,
  keptBytesPerPersonMax,
  keptBytesPerAddressMax,
}: Pick<Config, 'keptBytesPerConnectionMax' | 'keptBytesPerPersonMax' | 'keptBytesPerAddressMax'>): MemoryLimits {
  const connections = new WeakMap<object, Account>();
  const people = new Map<string, Account>();
  const networks = new Map<string, Account>();
  const partial = new Map<string, number>();
  return {
    countPartialFrame(network, bytes) {
      const now = (partial.get(network) ?? 0) + bytes;
      if (now > 0) partial.set(network, now);
      else partial.delete(network);
      return now <= keptBytesPerAddressMax;
    },
    reserve({ connection, userId, network }, data) {
      const own = connections.get(connection) ?? new Account(keptBytesPerConnectionMax);
      const ofPerson = userId === undefined ? undefined : (people.get(userId) ?? new Account(keptBytesPerPersonMax));
      const ofNetwork = networks.get(network) ?? new Account(keptBytesPerAddressMax);
      const accounts = [own, ofNetwork, ...(ofPerson ? [ofPerson] : [])];
      if (!accounts.every((account) => account.hasRoomFor(data))) return undefined;
      connections.set(connection, own);
      networks.set(network, ofNetwork);
      if (userId !== undefined && ofPerson) people.set(userId, ofPerson);
      for (const account of accounts) account.add(data);
      let isReserved = true;
      return () => {
        if (!isReserved) return;
        isReserved = false;
        for (const account of accounts) account.remove(data);
        // The entry may have been replaced by a new one in the meantime.
        if (ofNetwork.isEmpty && networks.get(network) === ofNetwork) networks.delete(network);
        if (userId !== undefined && ofPerson?.isEmpty && people.get(userId) === ofPerson) people.delete(userId);
      };
    },
  };
}
