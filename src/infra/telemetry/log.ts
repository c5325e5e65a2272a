import { type DestinationStream, type Logger, pino } from 'pino';
import type { Config } from '../config/config.js';
import { logLines } from './log-lines.js';
import { currentRequest } from './request.js';

export type { Logger };

/**
 * Creates the log: one JSON object per line on standard output. Properties that could contain secrets or user content
 * are removed at any depth, so that a careless `log.info({ input })` reveals nothing.
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
 * The destination of a process's log: standard output, as JSON or in a human-readable format. The latter is used if the
 * configuration requests it or, by default, if standard output is a terminal.
 */
export function logDestination({ logFormat }: Pick<Config, 'logFormat'>): DestinationStream {
  const isTerminal = process.stdout.isTTY === true;
  if ((logFormat ?? (isTerminal ? 'pretty' : 'json')) === 'json') return pino.destination(1);
  return logLines(process.stdout, { colors: isTerminal && process.env['NO_COLOR'] === undefined });
}
