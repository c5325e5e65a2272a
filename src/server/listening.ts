import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ChatError } from '../core/errors.js';
import { ConfigError } from '../infra/config/config-error.js';

/**
 * Starts listening.
 * @param names the settings of the port and the host, for error messages.
 * @returns the URL.
 * @throws {ConfigError} with the name of the invalid setting.
 * @throws {ChatError} UNAVAILABLE with the name of the port's setting if the port is in use.
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
      // Not a configuration error: the process that uses the port may be about to stop.
      if (error.code === 'EADDRINUSE')
        reject(new ChatError('UNAVAILABLE', `${names.port}: ${message}: it is already in use`));
      // EACCES means that the port is reserved for privileged processes; other errors are caused by the address.
      else reject(new ConfigError(`${error.code === 'EACCES' ? names.port : names.host}: ${message}`));
    });
    server.listen(port, host, resolve);
  });
  return `http://${inUrl(host)}:${(server.address() as AddressInfo).port}`;
}

const inUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host);
