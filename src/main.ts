import { ConfigError, readConfig } from './infra/config.js';
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
  if (error instanceof ConfigError) {
    for (const line of error.message.split('\n')) console.error(`parley: ${line}`);
    process.exit(78); // EX_CONFIG of sysexits.h
  }
  const { code, syscall, address, port } = error as NodeJS.ErrnoException & { address?: string; port?: number };
  if (syscall === 'listen') console.error(`parley: PORT: cannot listen on ${address}:${port} (${code})`);
  else console.error(error);
  process.exit(1);
}
