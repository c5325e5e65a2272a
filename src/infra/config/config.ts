import { databaseSettings } from './database.settings.js';
import { type Joined, type Mode, readSections, type Section, type Setting, settingsOf } from './define-settings.js';
import { mailSettings } from './mail.settings.js';
import { passwordSettings } from './passwords.settings.js';
import { rateSettings } from './rates.settings.js';
import { serverSettings } from './server.settings.js';
import { telemetrySettings } from './telemetry.settings.js';
import { tokenSettings } from './tokens.settings.js';
import { connectionSettings, deliverySettings, operationSettings } from './transport.settings.js';

/**
 * The settings that belong to no feature. docs/CONFIGURATION.md lists the settings of features between `firstSections`
 * and `lastSections`.
 */
export const firstSections = [
  serverSettings,
  databaseSettings,
  tokenSettings,
  passwordSettings,
  mailSettings,
  rateSettings,
] as const;
export const lastSections = [connectionSettings, operationSettings, deliverySettings, telemetrySettings] as const;

/**
 * The values of all settings: the property of `TYPING_TTL` is `typingTtlMs`. Each feature adds its settings by merging
 * a declaration into this interface (`SectionValues`).
 */
export interface Config extends Joined<typeof firstSections>, Joined<typeof lastSections> {
  /** The settings whose value differs from the default, as given, including secrets. */
  given: Readonly<Record<string, string>>;
  /** The declarations of all settings by the names of their variables. */
  declared: Readonly<Record<string, Setting>>;
}

/**
 * Reads the configuration from environment variables. Empty variables count as absent.
 * @param sections all settings of this server.
 * @throws {ConfigError} naming every invalid variable, one per line.
 */
export function readConfigOf(sections: readonly Section[], env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  );
  const mode = { production: given['NODE_ENV'] === 'production', rateLimits: given['RATE_LIMITS'] !== 'off' };
  const declared = settingsOf(sections);
  const isOther = ([name, text]: [string, string]) => differsFromDefault(declared[name], text, mode);
  const values = readSections(sections, given, mode) as Omit<Config, 'given' | 'declared'>;
  return { ...values, given: Object.fromEntries(Object.entries(given).filter(isOther)), declared };
}

const differsFromDefault = (declared: Setting | undefined, text: string, mode: Mode) =>
  declared !== undefined &&
  JSON.stringify(declared.read(text, mode)) !== JSON.stringify(declared.read(undefined, mode));
