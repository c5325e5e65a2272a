import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ChatError } from '../core/errors.js';
import { ConfigError } from '../infra/config/config-error.js';

/**
 * Listens, and resolves with where.
 * @param names the settings that the port and the host come from.
 * @throws {ConfigError} naming the setting that is wrong.
 * @throws {ChatError} UNAVAILABLE, naming the port's setting, when the port is in use.
 */
export async function listen(
  server: Server,
  port: number,
  host: string,
  names: { port: string; host: string },
): Promise<string> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const place = `${inUrl(host)}:${port}`;
      const message = `cannot listen on ${place} (${error.code})`;
      // Whoever has the port may be about to leave it: the configuration is not wrong.
      if (error.code === 'EADDRINUSE')
        reject(new ChatError('UNAVAILABLE', `${names.port}: ${message}: it is already in use`));
      // A low port is for privileged processes; everything else is about the address.
      else reject(new ConfigError(`${error.code === 'EACCES' ? names.port : names.host}: ${message}`));
    });
    server.listen(port, host, resolve);
  });
  return `http://${inUrl(host)}:${(server.address() as AddressInfo).port}`;
}

const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);
