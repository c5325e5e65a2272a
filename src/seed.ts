import { readConfig } from './app/config.js';
import { exitWithError } from './app/exit.js';
import { startServices } from './app/node.js';
import { ConfigError } from './infra/config/config-error.js';
import { createLog } from './infra/telemetry/log.js';
import { composeDemo } from './seed/compose.js';
import { describeDemo } from './seed/describe.js';
import { storeDemo } from './seed/store.js';

// Files in DATA_DIR are accessible to their owner only.
process.umask(0o077);
try {
  const config = readConfig(process.env);
  if (config.production) {
    throw new ConfigError('NODE_ENV: the demo accounts have a public password and must not be used in production');
  }
  const demo = composeDemo(new Date());
  const { deps, close } = await startServices(config, createLog('warn'));
  try {
    const started = Date.now();
    const stored = await storeDemo(deps, demo);
    console.log(await describeDemo(deps, stored ? Date.now() - started : undefined));
  } finally {
    await close();
  }
} catch (error) {
  exitWithError(error);
}
