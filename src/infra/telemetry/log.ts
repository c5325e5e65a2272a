import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../config/config.js';
import { logLines } from './log-lines.js';
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

/**
 * Where a process writes its log: standard output, as JSON, or for people to read where the configuration says so or, if
 * it says nothing, standard output is a terminal.
 */
export function logDestination({ logFormat }: Pick<Config, 'logFormat'>): DestinationStream {
  const isTerminal = process.stdout.isTTY === true;
  if ((logFormat ?? (isTerminal ? 'pretty' : 'json')) === 'json') return pino.destination(1);
  return logLines(process.stdout, { colors: isTerminal && process.env['NO_COLOR'] === undefined });
}
