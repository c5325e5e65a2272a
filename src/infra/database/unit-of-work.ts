import type { Logger } from '../telemetry/log.js';

/**
 * A kind of event that is announced after the transaction that recorded it has committed. Items are recorded with
 * `announceAfterCommit` and delivered to one handler per database (`Announcer.handle`).
 */
export interface Announcement<Item> {
  readonly name: string;
  /** Exists for type inference only. */
  readonly items?: readonly Item[];
}

export const defineAnnouncement = <Item>(name: string): Announcement<Item> => ({ name });

/** Statements that a transaction executes last, once for all items that it has recorded for them. */
export interface LastStatements<Transaction, Item> {
  readonly name: string;
  run(tx: Transaction, items: readonly Item[]): Promise<void>;
}

/** The items that an open transaction has recorded. */
interface Unit {
  readonly announcements: Map<Announcement<unknown>, unknown[]>;
  readonly last: Map<LastStatements<never, never>, unknown[]>;
}

const units = new WeakMap<object, Unit>();

function addTo<Kind extends { readonly name: string }>(
  tx: object,
  collection: (unit: Unit) => Map<Kind, unknown[]>,
  kind: Kind,
  items: readonly unknown[],
): void {
  const unit = units.get(tx);
  if (!unit) throw new Error(`${kind.name} can only be recorded in a transaction`);
  const collected = collection(unit).get(kind);
  if (collected) collected.push(...items);
  else collection(unit).set(kind, [...items]);
}

/**
 * Records items to be announced after the transaction has committed, in the order of calls. If it is rolled back, they
 * are discarded.
 * @param tx the transaction that `Database.transaction` or `Database.sql.transaction` passed to its callback.
 */
export function announceAfterCommit<Item>(
  tx: object,
  announcement: Announcement<Item>,
  ...items: readonly Item[]
): void {
  addTo(tx, ({ announcements }) => announcements, announcement, items);
}

/**
 * Records items for statements that are executed at the end of the transaction, in the order of calls. What these
 * statements lock is locked after everything else, whenever this is called: so transactions do not deadlock because of
 * it.
 * @param tx the transaction that `Database.transaction` or `Database.sql.transaction` passed to its callback. One that ends
 *   with `finish` must not record any.
 */
export function recordBeforeCommit<Transaction extends object, Item>(
  tx: Transaction,
  statements: LastStatements<Transaction, Item>,
  ...items: readonly Item[]
): void {
  addTo(tx, ({ last }) => last, statements, items);
}

/** Executes the last statements of a transaction. */
export async function runLastStatements(tx: object): Promise<void> {
  for (const [statements, items] of units.get(tx)?.last ?? []) await statements.run(tx as never, items as never[]);
}

/** Delivers the items that transactions of one database have recorded. */
export interface Announcer {
  /** Sets the handler of an announcement. Without a handler, its items are discarded. */
  handle<Item>(announcement: Announcement<Item>, handler: (items: readonly Item[]) => void | Promise<void>): void;
  /**
   * Runs a transaction and announces what it recorded after its commit. `attempt` calls `begin` for each attempt of the
   * transaction; only the items of the last attempt are announced. Resolves when the handlers are done. An error of a
   * handler is logged and does not reject the promise, because the transaction is already committed.
   */
  run<T>(attempt: (begin: <Transaction extends object>(tx: Transaction) => Transaction) => Promise<T>): Promise<T>;
}

export function createAnnouncer(log: Logger): Announcer {
  const handlers = new Map<Announcement<unknown>, (items: readonly unknown[]) => void | Promise<void>>();

  async function deliver({ announcements }: Unit): Promise<void> {
    for (const [announcement, items] of announcements) {
      try {
        await handlers.get(announcement)?.(items);
      } catch (error) {
        log.error({ err: error, announcement: announcement.name }, 'committed changes could not be announced');
      }
    }
  }

  return {
    handle: (announcement, handler) =>
      void handlers.set(announcement, handler as (items: readonly unknown[]) => void | Promise<void>),
    async run(attempt) {
      let unit: Unit | undefined;
      const result = await attempt((tx) => {
        unit = { announcements: new Map(), last: new Map() };
        units.set(tx, unit);
        return tx;
      });
      if (unit && unit.announcements.size > 0) await deliver(unit);
      return result;
    },
  };
}
