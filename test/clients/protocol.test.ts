import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { buildSchema, type GraphQLEnumType, type GraphQLObjectType, isEnumType } from 'graphql';
import { CloseCode, createClient } from 'graphql-ws';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import { settings } from '../../src/app/config.js';
import { conflictReasons, errorCodes, forbiddenReasons } from '../../src/core/errors.js';

/** Codes that neither websocket.ts nor graphql-ws lists: of `ws`, of a broken network, and of the client's `terminate()`. */
const otherCodes = [1002, 1006, 1007, 1009, 4499];

describe('docs/PROTOCOL.md', async () => {
  const page = await readFile('docs/PROTOCOL.md', 'utf8');
  const rows = (title: string): string[][] => {
    const section = page.split(/^## /m).find((text) => text.startsWith(title)) ?? '';
    const lines = section.split('\n').filter((line) => line.startsWith('| ') || line.startsWith('|-'));
    return lines.slice(2).map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim().replace(/^`|`$/g, ''))
        .slice(1, -1),
    );
  };
  const source = (path: string) => readFile(path, 'utf8');
  const milliseconds = async (path: string, name: string) => {
    const [, digits] = new RegExp(`const ${name} = ([\\d_]+)`).exec(await source(path)) ?? [];
    return Number(digits?.replaceAll('_', ''));
  };

  it('contains the settings with their defaults', async () => {
    const limits = rows('Limits');
    expect(limits.length).toBeGreaterThan(5);
    for (const [name = '', given] of limits) {
      const setting = settings[name];
      expect([name, setting?.read(given, { production: true })]).toEqual([
        name,
        setting?.read(undefined, { production: true }),
      ]);
    }
    const named = [...page.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map(([, name]) => name as string);
    const enumValues = Object.values(buildSchema(await source('schema.graphql')).getTypeMap())
      .filter(isEnumType)
      .flatMap((type) => type.getValues().map(({ name }) => name));
    const known = [...Object.keys(settings), ...enumValues, ...forbiddenReasons, ...conflictReasons];
    expect(named.filter((name) => !known.includes(name))).toEqual([]);
  });

  it('contains the fixed times', async () => {
    const server = 'src/server/websocket.ts';
    expect(page).toContain(
      `No \`connection_init\` came in ${(await milliseconds(server, 'INIT_TIMEOUT_MS')) / 1_000} s`,
    );
    expect(page).toContain(`\`connection_init\` within ${(await milliseconds(server, 'INIT_TIMEOUT_MS')) / 1_000} s`);
    expect(page).toContain(`a ping every ${(await milliseconds(server, 'KEEP_ALIVE_MS')) / 1_000} s`);
    expect(page).toContain(
      `has ${(await milliseconds(server, 'SLOW_CONSUMER_CLOSE_MS')) / 1_000} s to receive its close frame`,
    );
    const checkpoint = await milliseconds('src/realtime/change-stream.ts', 'CHECKPOINT_MS');
    expect(page).toContain(`then every ${checkpoint / 1_000} s.`);
  });

  it('contains every error code', () => {
    expect(rows('Errors').map(([code]) => code)).toEqual(errorCodes);
  });

  it('contains every reason of FORBIDDEN and CONFLICT', () => {
    expect(rows('Reasons of FORBIDDEN errors').map(([reason]) => reason)).toEqual(forbiddenReasons);
    expect(rows('Reasons of CONFLICT errors').map(([reason]) => reason)).toEqual(conflictReasons);
  });

  it('contains every field and type of events', async () => {
    const types = buildSchema(await source('schema.graphql')).getTypeMap();
    const fields = Object.keys((types['MessageEvent'] as GraphQLObjectType).getFields());
    const listed = rows('Event fields');
    expect(listed.map(([name]) => name).sort()).toEqual(fields.sort());
    const [, meaning = ''] = listed.find(([name]) => name === 'type') ?? [];
    const values = (types['MessageEventType'] as GraphQLEnumType).getValues().map(({ name }) => name);
    expect([...meaning.matchAll(/`(\w+)`/g)].map(([, name]) => name).sort()).toEqual(values.sort());
  });

  it('contains every close code', async () => {
    const own = [...(await source('src/server/websocket.ts')).matchAll(/code: (\d{4}), reason/g)].map(([, code]) =>
      Number(code),
    );
    expect(own.length).toBeGreaterThan(3);
    const protocol = Object.values(CloseCode).filter((code) => typeof code === 'number');
    const expected = [...new Set([...own, ...protocol, ...otherCodes])].sort((a, b) => a - b);
    expect(rows('Close codes').map(([code]) => Number(code))).toEqual(expected);
  });

  describe('describes what the standard client does', () => {
    let server: WebSocketServer;
    let url: string;
    /** The behavior of the server when a socket subscribes. */
    let end = (_socket: WebSocket) => {};
    let connections = 0;

    beforeAll(async () => {
      server = new WebSocketServer({ port: 0, handleProtocols: () => 'graphql-transport-ws' });
      server.on('connection', (socket) => {
        connections += 1;
        socket.on('message', (text) => {
          if (String(text).includes('connection_init')) socket.send('{"type":"connection_ack"}');
          else end(socket);
        });
      });
      await once(server, 'listening');
      url = `ws://127.0.0.1:${(server.address() as { port: number }).port}`;
    });
    afterAll(() => server.close());

    it.each(rows('Close codes').map(([code, _when, does]) => [Number(code), does]))(
      'after %i: %s',
      async (code, does) => {
        connections = 0;
        const client = createClient({
          url,
          webSocketImpl: WebSocket,
          retryAttempts: 1,
          retryWait: async () => {},
          shouldRetry: () => true,
        });
        end = (socket) => {
          if (connections > 1) socket.close(CloseCode.BadRequest);
          else if (code === 1006) socket.terminate();
          else if (code === 4499) client.terminate();
          else socket.close(Number(code));
        };
        await new Promise<void>((resolve) => {
          client.subscribe({ query: '{ x }' }, { next() {}, error: () => resolve(), complete: resolve });
        });
        expect(connections > 1 ? 'reconnects' : 'gives up').toBe(does);
        await client.dispose();
      },
    );
  });
});
