// `npm run notifications -- trace <messageId> <username>`: shows why a user was or was not notified of a message.

import { readConfig } from './app/config.js';
import { exitWithError } from './app/exit.js';
import { startServices } from './app/node.js';
import { idOf } from './core/ids.js';
import { recordAuditEvents } from './domain/audit/audit.store.js';
import { describeTrace } from './domain/notification-trace/trace.description.js';
import { traceOfUser } from './domain/notification-trace/trace.service.js';
import { findByUsername } from './domain/user/user.service.js';
import { ConfigError } from './infra/config/config-error.js';
import { createLog } from './infra/telemetry/log.js';

function readMessageId(given: string): string {
  try {
    return idOf('Message', given, 'messageId');
  } catch {
    throw new ConfigError(`${given} is not the id of a message`);
  }
}

// Files in DATA_DIR are accessible to their owner only.
process.umask(0o077);
try {
  const [command, givenId, username] = process.argv.slice(2);
  if (command !== 'trace' || givenId === undefined || username === undefined)
    throw new ConfigError('usage: npm run notifications -- trace <messageId> <username>');
  const messageId = readMessageId(givenId);
  const { deps, close } = await startServices(readConfig(process.env), createLog('warn'));
  try {
    const user = await findByUsername(deps, username);
    if (!user) throw new ConfigError(`no user has the name ${username}`);
    const trace = await traceOfUser(deps, user.id, messageId);
    if (!trace) throw new ConfigError(`no message has the id ${givenId}`);
    await deps.database.transaction((tx) =>
      recordAuditEvents(tx, { action: 'NOTIFICATION_TRACE_READ', subjectId: user.id, details: { messageId: givenId } }),
    );
    console.log(describeTrace(trace));
  } finally {
    await close();
  }
} catch (error) {
  exitWithError(error);
}
