import { type Logger, pino } from 'pino';

export type { Logger };

/**
 * The log: one JSON object a line on standard output. What could hold a secret or what people write is removed
 * wherever it stands, so that a careless `log.info({ input })` leaks nothing.
 */
export function createLog(level: string): Logger {
  const secret = ['password', 'newPassword', 'currentPassword', 'text', 'accessToken', 'refreshToken', 'authorization'];
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: { paths: secret.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
  });
}
