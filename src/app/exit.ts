import { ChatError } from '../core/errors.js';
import { ConfigError } from '../infra/config/config-error.js';
import { isUnavailable, stateOf } from '../infra/database/database.js';

/**
 * Ends a command after an error and prints the reason. An invalid configuration exits with status 78 (EX_CONFIG of
 * sysexits.h); expected errors print only their message, all others their stack (status 1).
 */
export function exitWithError(error: unknown): never {
  if (error instanceof ConfigError) exit(error.message, 78);
  if (error instanceof ChatError) exit(error.message, 1);
  const state = stateOf(error);
  if (state === 'read-only') {
    exit(`DATABASE_URL: this PostgreSQL server is read-only, but a node requires the primary (${messageOf(error)})`, 1);
  }
  if (state === 'disk full') exit(`DATABASE_URL: the disk of PostgreSQL is full (${messageOf(error)})`, 1);
  if (isUnavailable(error)) exit(`DATABASE_URL: PostgreSQL cannot be reached (${String(error)})`, 1);
  console.error(error);
  process.exit(1);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function exit(message: string, status: number): never {
  for (const line of message.split('\n')) console.error(`parley: ${line}`);
  process.exit(status);
}
