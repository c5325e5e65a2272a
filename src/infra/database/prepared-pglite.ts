import { PGlite } from '@electric-sql/pglite';
import { LRUCache } from 'lru-cache';

/**
 * The maximum number of prepared statements. Each takes about 50 kB of the database's memory; nodes reuse about 200
 * different texts.
 */
const PREPARED_MAX = 300;

/** Messages longer than this, in bytes, are not prepared, because they contain lists and are rarely repeated. */
const PREPARED_TEXT_MAX = 16_384;

/**
 * How long a plan is used, in milliseconds. PostgreSQL keeps the plan of a prepared statement until the table is
 * analyzed or altered. A plan that was made for a small table would read the whole table after it has grown.
 */
const PLANS_MAX_AGE_MS = 1_000;

/** The types of protocol messages that are modified before they are sent to the database. */
const PARSE = 0x50;
const BIND = 0x42;
const DESCRIBE = 0x44;
const CLOSE = 0x43;
const QUERY = 0x51;
const STATEMENT = 0x53;
const PORTAL = 0x50;

/** Matches statements that change tables or drop prepared statements. */
const CHANGES_STATEMENTS = /\b(?:CREATE|ALTER|DROP|DISCARD|DEALLOCATE)\b/i;

/**
 * SQLSTATEs that mean that the result columns have changed or that the statement does not exist. The next call prepares
 * it again.
 */
const STATEMENT_LOST: ReadonlySet<unknown> = new Set(['0A000', '26000']);

type Messages = Awaited<ReturnType<PGlite['execProtocolStream']>>;
type Options = Parameters<PGlite['execProtocolStream']>[1];

interface Prepared {
  readonly key: string;
  readonly name: string;
  /** The database's response to the first `Describe` of the statement. */
  description?: Messages;
}

/**
 * PGlite that keeps the statements of `query` prepared, as other drivers of PostgreSQL do. PGlite itself parses,
 * describes and plans each statement again, which takes two to four times as long as executing it.
 * The messages to the database are modified: the unnamed statement of a `Parse` message gets a name when it occurs for
 * the first time. When it occurs again, neither the `Parse` nor the two following `Describe` messages are sent.
 */
export class PreparedPGlite extends PGlite {
  readonly #prepared = new LRUCache<string, Prepared>({
    max: PREPARED_MAX,
    dispose: ({ name }) => void this.#dropped.push(name),
  });
  /** The names of statements that are still prepared in the database but are no longer used. */
  #dropped: string[] = [];
  #count = 0;
  /** The time of `performance.now()` at which the plans are discarded next. */
  #plansEnd = 0;
  /** The statement between its `Parse` and its `Execute`. Queries do not run concurrently. */
  #current: Prepared | undefined;

  override async execProtocolStream(message: Uint8Array, options?: Options): Promise<Messages> {
    const send = (changed = message) => super.execProtocolStream(changed, options);
    switch (message[0]) {
      case PARSE: {
        this.#current = undefined;
        // The first field is the name of the statement, which PGlite leaves empty.
        if (message[5] !== 0 || message.length > PREPARED_TEXT_MAX) return send();
        const key = Buffer.from(message.buffer, message.byteOffset, message.byteLength).toString('latin1');
        const known = this.#prepared.get(key);
        if (known) {
          this.beforeReuse(message);
          await this.#renewPlans();
          this.#current = known;
          return [];
        }
        const name = `parley_${++this.#count}`;
        const answer = await send(withName(message, 5, name));
        this.#current = { key, name };
        this.#prepared.set(key, this.#current);
        for (const dropped of this.#dropped.splice(0)) await send(naming(CLOSE, dropped));
        return answer;
      }
      case DESCRIBE: {
        const current = this.#current;
        if (!current) return send();
        if (message[5] === STATEMENT) {
          current.description ??= await send(naming(DESCRIBE, current.name));
          return current.description;
        }
        // All values are requested as text, so the columns of the portal are those of the statement.
        if (message[5] === PORTAL && current.description) {
          return current.description.filter(({ name }) => name !== 'parameterDescription');
        }
        return send();
      }
      case BIND: {
        const current = this.#current;
        if (!current) return send();
        try {
          // The name of the portal stays empty; the name of the statement follows it.
          return await send(withName(message, 6, current.name));
        } catch (error) {
          if (STATEMENT_LOST.has((error as { code?: unknown }).code)) this.#prepared.delete(current.key);
          throw error;
        }
      }
      case QUERY: {
        const answer = await send();
        if (CHANGES_STATEMENTS.test(textOf(message))) {
          this.#prepared.clear();
          for (const dropped of this.#dropped.splice(0)) await send(naming(CLOSE, dropped));
        }
        return answer;
      }
      default:
        return send();
    }
  }

  /**
   * Makes statements of Prisma faster. They define some parsers of their own, and PGlite copies its parsers of all types
   * for each such statement. Two thirds of these parsers are for arrays of table rows: they are moved to the prototype, so
   * that they are no longer copied, and statements without own parsers still use them.
   */
  async separateParsersOfRows(): Promise<void> {
    const { rows } = await this.query<{ oid: number }>(
      `SELECT typarray::int AS oid FROM pg_type WHERE typtype = 'c' AND typarray <> 0`,
    );
    const ofRows = new Set(rows.map(({ oid }) => String(oid)));
    const others = Object.entries(this.parsers).filter(([oid]) => !ofRows.has(oid));
    this.parsers = Object.assign(Object.create(this.parsers), Object.fromEntries(others));
  }

  async #renewPlans(): Promise<void> {
    const now = performance.now();
    if (now < this.#plansEnd) return;
    this.#plansEnd = now + PLANS_MAX_AGE_MS;
    // In a transaction that has failed this fails, too; the plans are then renewed a second later.
    await super.execProtocolStream(DISCARD_PLANS, { syncToFs: false, throwOnError: false });
  }

  /** Called before a prepared statement is executed whose `Parse` message, given here, is not sent again. */
  protected beforeReuse(_parse: Uint8Array): void {}
}

/** Inserts a name for the empty one at this offset of a message. */
function withName(message: Uint8Array, offset: number, name: string): Uint8Array {
  const changed = Buffer.alloc(message.length + name.length);
  changed.set(message.subarray(0, offset));
  changed.write(name, offset, 'latin1');
  changed.set(message.subarray(offset), offset + name.length);
  // The length in a message includes itself, but not the type.
  changed.writeInt32BE(changed.length - 1, 1);
  return changed;
}

/** A message that only contains the name of a prepared statement. */
function naming(type: number, name: string): Uint8Array {
  return withName(Uint8Array.of(type, 0, 0, 0, 0, STATEMENT, 0), 6, name);
}

const textOf = (query: Uint8Array) => new TextDecoder().decode(query.subarray(5));

const DISCARD_PLANS = queryOf('DISCARD PLANS');

/** A message with a statement that has no parameters. */
function queryOf(text: string): Uint8Array {
  return withName(Uint8Array.of(QUERY, 0, 0, 0, 0, 0), 5, text);
}
