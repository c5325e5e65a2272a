import { type DestinationStream, type Logger, pino } from 'pino';
import { currentRequest } from './request.js';

export type { Logger };

/**
 * The log: one JSON object a line on standard output. What could hold a secret or what people write is removed
 * wherever it stands, so that a careless `log.info({ input })` leaks nothing.
 */
export function createLog(level: string, destination: DestinationStream = pino.destination(1)): Logger {
  const secret = [
    'password',
    'newPassword',
    'currentPassword',
    'text',
    'token',
    'accessToken',
    'refreshToken',
    'authorization',
  ];
  const paths = secret.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: { paths, censor: '[redacted]' },
      mixin() {
        const request = currentRequest();
        return request === undefined ? {} : { requestId: request.id };
      },
    },
    destination,
  );
}
