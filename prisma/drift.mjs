#!/usr/bin/env node
// Compares prisma/migrations with prisma/schema.prisma, offline: prints the SQL that is missing from the migrations,
// and exits with 1 if there is any. Use the output as a new migration: node prisma/drift.mjs >
// prisma/migrations/<time>_<name>/migration.sql
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { PrismaPGlite } from 'pglite-prisma-adapter';

const here = dirname(fileURLToPath(import.meta.url));
const engineDir = dirname(createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm'));

/** The SQL that is missing from the migrations; undefined if there is none. The database must be empty. */
export async function missingSql(database) {
  // The package's entry imports its .wasm as a module, which Node 20 does not support: it is instantiated here.
  const bindings = await import(join(engineDir, 'schema_engine_bg.js'));
  const wasm = await WebAssembly.instantiate(readFileSync(join(engineDir, 'schema_engine_bg.wasm')), {
    './schema_engine_bg.js': bindings,
  });
  bindings.__wbg_set_wasm(wasm.instance.exports);
  wasm.instance.exports.__wbindgen_start();

  const migrations = readdirSync(join(here, 'migrations'), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();

  const factory = bindMigrationAwareSqlAdapterFactory(new PrismaPGlite(database));
  const engine = await bindings.SchemaEngine.new({ datamodels: undefined }, () => {}, factory);
  const result = await engine.diff({
    from: {
      tag: 'migrations',
      baseDir: join(here, 'migrations'),
      lockfile: { path: 'migration_lock.toml', content: 'provider = "postgresql"' },
      shadowDbInitScript: '',
      migrationDirectories: migrations.map((name) => ({
        path: name,
        migrationFile: {
          path: 'migration.sql',
          content: { tag: 'ok', value: readFileSync(join(here, 'migrations', name, 'migration.sql'), 'utf8') },
        },
      })),
    },
    to: {
      tag: 'schemaDatamodel',
      files: [{ path: 'schema.prisma', content: readFileSync(join(here, 'schema.prisma'), 'utf8') }],
    },
    script: true,
    exitCode: true,
    filters: { externalTables: [], externalEnums: [] },
  });
  return result.exitCode === 0 ? undefined : (result.stdout?.trim() ?? '');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const sql = await missingSql(new PGlite());
  if (sql === undefined) console.error('migrations and schema.prisma agree');
  else console.log(sql);
  process.exit(sql === undefined ? 0 : 1);
}
