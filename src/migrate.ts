// `npm run migrate`: brings the database to what this version needs, before its nodes are started. A node does the same
// at its start.

import { readConfig } from './app/config.js';
import { exitBecauseOf } from './app/exit.js';
import { openDatabase } from './infra/database/database.js';
import { createLog, logDestination } from './infra/telemetry/log.js';

try {
  const config = readConfig(process.env);
  const database = await openDatabase(config, createLog(config.logLevel, logDestination(config)));
  await database.close();
  console.log('The database schema is up to date.');
} catch (error) {
  exitBecauseOf(error);
}
