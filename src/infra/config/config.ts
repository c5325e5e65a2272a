import { ConfigError } from './config-error.js';
import { allSettings, clientLimitsOf, type Joined, type Mode, readSections, type Setting } from './define-settings.js';
import {
  accountSettings,
  auditSettings,
  identityProviderSettings,
  mailSettings,
  passwordResetSettings,
  serviceSettings,
} from './settings/accounts.js';
import {
  blockSettings,
  contactSettings,
  editSettings,
  groupSettings,
  messageSettings,
  pinSettings,
  presenceSettings,
  reactionSettings,
  receiptSettings,
  typingSettings,
} from './settings/conversations.js';
import { databaseSettings } from './settings/database.js';
import { rateSettings } from './settings/rates.js';
import { serverSettings } from './settings/server.js';
import { sessionSettings } from './settings/sessions.js';
import { summarySettings } from './settings/summaries.js';
import { telemetrySettings } from './settings/telemetry.js';
import { connectionSettings, deliverySettings, operationSettings } from './settings/transport.js';

/** In the order of docs/CONFIGURATION.md, which `node deploy/run.mjs configuration` generates from them. */
const sections = [
  serverSettings,
  databaseSettings,
  sessionSettings,
  accountSettings,
  passwordResetSettings,
  mailSettings,
  identityProviderSettings,
  serviceSettings,
  auditSettings,
  messageSettings,
  editSettings,
  reactionSettings,
  pinSettings,
  groupSettings,
  contactSettings,
  blockSettings,
  receiptSettings,
  presenceSettings,
  typingSettings,
  summarySettings,
  rateSettings,
  connectionSettings,
  operationSettings,
  deliverySettings,
  telemetrySettings,
] as const;

/** Every setting by the name of its environment variable. */
export const settings = allSettings(sections);

/** The fields of `serverInfo.limits`. */
export const clientLimits = clientLimitsOf(sections);

/** Whether nobody but the operator may learn the value of a setting. */
export const isSecretSetting = (name: string): boolean => settings[name]?.isSecret(name) ?? true;

/** The values of all settings: `TYPING_TTL` is `typingTtlMs`. */
export interface Config extends Joined<typeof sections> {
  /** The settings whose value differs from the default, as they were given: secrets too. */
  given: Readonly<Record<string, string>>;
}

/**
 * Reads the configuration from an environment; an empty variable counts as absent.
 * @throws {ConfigError} naming every variable that is wrong, one per line.
 */
export function readConfig(env: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  );
  const mode = { production: given['NODE_ENV'] === 'production', rateLimits: given['RATE_LIMITS'] !== 'off' };
  const config = readSections(sections, given, mode);
  if (config.service !== undefined && [config.jwtSecret, config.jwtSecretPrevious].includes(config.service.key)) {
    throw new ConfigError('SERVICE_KEY: must differ from JWT_SECRET, which is never sent');
  }
  const isOther = ([name, text]: [string, string]) => differsFromDefault(settings[name], text, mode);
  return { ...config, given: Object.fromEntries(Object.entries(given).filter(isOther)) };
}

const differsFromDefault = (declared: Setting | undefined, text: string, mode: Mode) =>
  declared !== undefined &&
  JSON.stringify(declared.read(text, mode)) !== JSON.stringify(declared.read(undefined, mode));
