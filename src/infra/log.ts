import { AsyncLocalStorage } from 'node:async_hooks';
import { type DestinationStream, type Logger, pino } from 'pino';

export type { Logger };

const requestIds = new AsyncLocalStorage<string>();

/** The id of the request that is served at the moment. */
export const currentRequestId = (): string | undefined => requestIds.getStore();

/** Runs what serves one request: every line that is logged in it, however deep below, carries its id. */
export function withRequestId<T>(requestId: string, serve: () => T): T {
  return requestIds.run(requestId, serve);
}

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
        const requestId = requestIds.getStore();
        return requestId === undefined ? {} : { requestId };
      },
    },
    destination,
  );
}
