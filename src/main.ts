import { readConfig } from './app/config.js';
import { exitWithError } from './app/exit.js';
import { version } from './infra/config/version.js';
import { createLog, logDestination } from './infra/telemetry/log.js';
import { startNode } from './server/start.js';

// Files in DATA_DIR are accessible to their owner only.
process.umask(0o077);
try {
  const config = readConfig(process.env);
  const log = createLog(config.logLevel, logDestination(config));
  const starting = startNode(config, log, { onReplaced: () => stop('the database was replaced', 75) });
  let stopping: Promise<void> | undefined;
  // 75 is EX_TEMPFAIL of sysexits.h: the process supervisor is expected to restart the process.
  const stop = (reason: string, status = 0) => {
    if (stopping) return;
    log.info({ reason }, 'stopping');
    stopping = starting
      .then((node) => node.stop())
      .then(
        () => process.exit(status),
        (error: unknown) => {
          log.error({ err: error }, 'shutdown failed');
          process.exit(1);
        },
      );
  };
  // Registered before the node has started: the first process of a container does not receive signals that it does not
  // handle.
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  const node = await starting;
  log.info(
    {
      version,
      app: node.webUrl,
      url: node.url,
      metrics: node.metricsUrl,
      database: node.deps.database.mode,
      events: config.redisUrl ? 'redis' : 'in-process',
    },
    node.webUrl !== undefined || config.graphiql
      ? `Parley is ready: open ${node.webUrl ?? node.url} in a browser`
      : `Parley is ready: clients connect to ${node.url}`,
  );
} catch (error) {
  exitWithError(error);
}
