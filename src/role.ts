// `npm run role -- <username> [ADMIN | MODERATOR | USER]`: sets the service-wide role of a user.

import { readConfig } from './app/config.js';
import { exitWithError } from './app/exit.js';
import { startServices } from './app/node.js';
import { giveServiceRole } from './domain/moderation/moderation.service.js';
import { findByUsername } from './domain/user/user.service.js';
import { ConfigError } from './infra/config/config-error.js';
import { createLog } from './infra/telemetry/log.js';

const roles = ['ADMIN', 'MODERATOR', 'USER'] as const;

// Files in DATA_DIR are accessible to their owner only.
process.umask(0o077);
try {
  const [username, named = 'ADMIN'] = process.argv.slice(2);
  const role = roles.find((each) => each === named.toUpperCase());
  if (username === undefined || !role)
    throw new ConfigError(`usage: npm run role -- <username> [${roles.join(' | ')}]`);
  const { deps, close } = await startServices(readConfig(process.env), createLog('warn'));
  try {
    const user = await findByUsername(deps, username);
    if (!user) throw new ConfigError(`no user has the name ${username}`);
    await deps.database.transaction((tx) => giveServiceRole(tx, undefined, { userId: user.id, role }, async () => {}));
    console.log(`${user.username} now has the role ${role}.`);
  } finally {
    await close();
  }
} catch (error) {
  exitWithError(error);
}
