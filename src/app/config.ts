import { type Config, readConfigOf } from '../infra/config/config.js';
import { settingsOf } from '../infra/config/define-settings.js';
import { sectionsOf } from '../platform/feature.js';
import { features } from './features.js';

const sections = sectionsOf(features);

/** All settings by the names of their environment variables, in the order of docs/CONFIGURATION.md. */
export const settings = settingsOf(sections);

/**
 * Reads the configuration from environment variables. Empty variables count as absent.
 * @throws {ConfigError} naming every invalid variable, one per line.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const config = readConfigOf(sections, env);
  for (const feature of features) feature.checkConfig?.(config);
  return config;
}
