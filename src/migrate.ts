// `npm run migrate`: migrates the database before nodes of this version are started. A node does the same when it
// starts.

import { readConfig } from './app/config.js';
import { exitWithError } from './app/exit.js';
import { openDatabase } from './infra/database/database.js';
import { createLog, logDestination } from './infra/telemetry/log.js';

try {
  const config = readConfig(process.env);
  const database = await openDatabase(config, createLog(config.logLevel, logDestination(config)));
  await database.close();
  console.log('The database schema is up to date.');
} catch (error) {
  exitWithError(error);
}
