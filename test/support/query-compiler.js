// Replaces Prisma's query compiler in the processes of tests (vitest.config.ts). Each node has a Prisma client, which
// would read the schema again and compile every query again: a quarter of the CPU time of a start. A process of the
// server has one client.
import { QueryCompiler as Compiler } from '../../node_modules/@prisma/client/runtime/query_compiler_fast_bg.postgresql.mjs';

export * from '../../node_modules/@prisma/client/runtime/query_compiler_fast_bg.postgresql.mjs';

/** What the clients of this process share, by the arguments of the constructor. */
const compilers = new Map();

export class QueryCompiler {
  #shared;

  constructor(options) {
    const key = JSON.stringify(options);
    if (!compilers.has(key)) compilers.set(key, { compiler: new Compiler(options), plans: new Map() });
    this.#shared = compilers.get(key);
  }

  compile(query) {
    const { compiler, plans } = this.#shared;
    // A query that is invalid fails each time.
    if (!plans.has(query)) plans.set(query, compiler.compile(query));
    return plans.get(query);
  }

  compileBatch(batch) {
    return this.#shared.compiler.compileBatch(batch);
  }

  /** Does nothing, because others may still use it. */
  free() {}
}
