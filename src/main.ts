import { readConfig } from './infra/config.js';
import { exitBecauseOf } from './infra/exit.js';
import { createLog } from './infra/log.js';
import { version } from './infra/version.js';
import { startNode } from './server/start.js';

try {
  const config = readConfig(process.env);
  const log = createLog(config.logLevel);
  const node = await startNode(config, log);
  log.info(
    { version, url: node.url, database: node.deps.database.footing, events: config.redisUrl ? 'redis' : 'in-process' },
    config.graphiql ? `Parley is ready: open ${node.url}` : 'Parley is ready',
  );
  let stopping: Promise<void> | undefined;
  const stop = (signal: string) => {
    if (stopping) return;
    log.info({ signal }, 'stopping');
    stopping = node.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'did not stop cleanly');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
} catch (error) {
  exitBecauseOf(error);
}
