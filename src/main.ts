import { readConfig } from './infra/config.js';
import { exitBecauseOf } from './infra/exit.js';
import { createLog } from './infra/log.js';
import { version } from './infra/version.js';
import { startNode } from './server/start.js';

try {
  const config = readConfig(process.env);
  const log = createLog(config.logLevel);
  const starting = startNode(config, log);
  let stopping: Promise<void> | undefined;
  const stop = (signal: string) => {
    if (stopping) return;
    log.info({ signal }, 'stopping');
    stopping = starting
      .then((node) => node.stop())
      .then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, 'did not stop cleanly');
          process.exit(1);
        },
      );
  };
  // Before it has started: a container's first process gets no signal that it does not handle.
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  const node = await starting;
  log.info(
    { version, url: node.url, database: node.deps.database.footing, events: config.redisUrl ? 'redis' : 'in-process' },
    config.graphiql ? `Parley is ready: open ${node.url}` : 'Parley is ready',
  );
} catch (error) {
  exitBecauseOf(error);
}
