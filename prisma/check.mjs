#!/usr/bin/env node
// Checks prisma/migrations: they result in prisma/schema.prisma, and keep the rules of prisma/locks.mjs. Exits with 1 and
// prints what is wrong otherwise. Both checks start with copies of one empty database, because creating one takes seven
// seconds of CPU time, and a copy takes one.
import { PGlite } from '@electric-sql/pglite';
import { missingSql } from './drift.mjs';
import { brokenRules } from './locks.mjs';

const database = await PGlite.create();
const copy = await database.clone();
const faults = await brokenRules(database);
const sql = await missingSql(copy);
if (sql !== undefined) faults.push(`SQL that is missing from the migrations (node prisma/drift.mjs):\n${sql}`);
for (const fault of faults) console.log(fault);
process.exit(faults.length === 0 ? 0 : 1);
