/** An environment variable that is missing or has a wrong value; the message begins with its name. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}
