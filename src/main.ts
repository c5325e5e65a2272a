import { readConfig } from './app/config.js';
import { exitBecauseOf } from './app/exit.js';
import { version } from './infra/config/version.js';
import { createLog, logDestination } from './infra/telemetry/log.js';
import { startNode } from './server/start.js';

// What is written into DATA_DIR is for its owner only.
process.umask(0o077);
try {
  const config = readConfig(process.env);
  const log = createLog(config.logLevel, logDestination(config));
  const starting = startNode(config, log, { onReplaced: () => stop('the database was replaced', 75) });
  let stopping: Promise<void> | undefined;
  // 75 is EX_TEMPFAIL of sysexits.h: whatever supervises the process is to start it again.
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
  // Before it has started: a container's first process gets no signal that it does not handle.
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  const node = await starting;
  log.info(
    {
      version,
      url: node.url,
      metrics: node.metricsUrl,
      database: node.deps.database.footing,
      events: config.redisUrl ? 'redis' : 'in-process',
    },
    config.graphiql
      ? `Parley is ready: open ${node.url} in a browser`
      : `Parley is ready: clients connect to ${node.url}`,
  );
} catch (error) {
  exitBecauseOf(error);
}
