import { type Config, readConfigOf } from '../infra/config/config.js';
import { settingsOf } from '../infra/config/define-settings.js';
import { sectionsOf } from '../platform/feature.js';
import { features } from './features.js';

const sections = sectionsOf(features);

/** Every setting by the name of its environment variable, in the order of docs/CONFIGURATION.md. */
export const settings = settingsOf(sections);

/**
 * Reads the configuration from an environment; an empty variable counts as absent.
 * @throws {ConfigError} naming every variable that is wrong, one per line.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const config = readConfigOf(sections, env);
  for (const feature of features) feature.checkConfig?.(config);
  return config;
}
