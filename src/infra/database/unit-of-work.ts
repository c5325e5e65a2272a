import type { Logger } from '../telemetry/log.js';

/**
 * A sort of thing that is announced once the transaction that recorded it is committed. Whoever records adds items with
 * `announceAfterCommit`; one handler for each database delivers them (`Announcer.handle`).
 */
export interface Announcement<Item> {
  readonly name: string;
  /** Only for the type of its items. */
  readonly items?: readonly Item[];
}

export const defineAnnouncement = <Item>(name: string): Announcement<Item> => ({ name });

type Unit = Map<Announcement<unknown>, unknown[]>;

/** What is to be announced, by the transaction that records it. */
const units = new WeakMap<object, Unit>();

/**
 * Has `items` announced when the transaction is committed, in the order of calls; never, when it is rolled back.
 * @param tx what `Database.transaction` or `Database.sql.transaction` has handed to its work.
 */
export function announceAfterCommit<Item>(
  tx: object,
  announcement: Announcement<Item>,
  ...items: readonly Item[]
): void {
  const unit = units.get(tx);
  if (!unit) throw new Error(`${announcement.name} can only be recorded in a transaction`);
  const collected = unit.get(announcement);
  if (collected) collected.push(...items);
  else unit.set(announcement, [...items]);
}

/** Delivers what transactions of one database have recorded. */
export interface Announcer {
  /** Sets the handler of a sort of announcements. What is recorded without one is not announced at all. */
  handle<Item>(announcement: Announcement<Item>, handler: (items: readonly Item[]) => void | Promise<void>): void;
  /**
   * Runs a transaction, and announces what it recorded after its commit. `attempt` may begin the transaction several
   * times, each with a call of `begin`: only what the last one recorded is announced.
   * It resolves when the handlers are done. None of them can make it fail, for the transaction is committed.
   */
  run<T>(attempt: (begin: <Transaction extends object>(tx: Transaction) => Transaction) => Promise<T>): Promise<T>;
}

export function createAnnouncer(log: Logger): Announcer {
  const handlers = new Map<Announcement<unknown>, (items: readonly unknown[]) => void | Promise<void>>();

  async function deliver(unit: Unit): Promise<void> {
    for (const [announcement, items] of unit) {
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
        unit = new Map();
        units.set(tx, unit);
        return tx;
      });
      if (unit && unit.size > 0) await deliver(unit);
      return result;
    },
  };
}
