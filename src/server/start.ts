import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { conversationChanges } from '../domain/conversation/conversation.events.js';
import type { Deps } from '../domain/deps.js';
import { messageChanges } from '../domain/message/message.events.js';
import type { Config } from '../infra/config.js';
import { keptJwtSecret } from '../infra/data-dir.js';
import { openDatabase } from '../infra/database.js';
import { openLocalEvents, openRedisEvents } from '../infra/events.js';
import type { Logger } from '../infra/log.js';
import { createPasswords } from '../infra/passwords.js';
import { createTokens } from '../infra/tokens.js';
import { createBus } from '../realtime/bus.js';
import type { ChangeKind } from '../realtime/change.js';
import { startFeed } from '../realtime/feed.js';
import { createSessionWatch } from '../realtime/session-watch.js';
import { createTurns } from '../realtime/turns.js';
import { createGraphqlHttp, GRAPHQL_PATH } from './graphql-http.js';
import { createHttpServer } from './http.js';
import { serveWebSocket } from './websocket.js';

/** What the features put on the feed. */
const changeKinds = [conversationChanges, messageChanges] as ChangeKind[];

export interface RunningNode {
  /** Where it is served, for instance http://127.0.0.1:4000/graphql. */
  url: string;
  deps: Deps;
  /** WebSockets that are open. */
  openSockets(): number;
  /** Stops taking requests, lets go of clients so that they come back elsewhere, finishes what is under way. */
  stop(): Promise<void>;
}

/**
 * Starts a node: database (migrated), events, HTTP and WebSocket.
 * @throws {ConfigError} when DATA_DIR is in use.
 */
export async function startNode(config: Config, log: Logger): Promise<RunningNode> {
  const { deps, close } = await startServices(config, log);
  const yoga = createGraphqlHttp(deps);
  let draining = false;
  const server = createHttpServer(
    yoga,
    {
      async ready() {
        const database = await deps.database.ping().then(
          () => 'ok',
          () => 'unreachable',
        );
        const events = deps.eventsConnected() ? 'ok' : 'unreachable';
        // Without Redis a node still serves: it is slower to hear of others, not wrong.
        return {
          ready: database === 'ok' && !draining,
          parts: { database, events, ...(draining ? { draining: 'yes' } : {}) },
        };
      },
    },
    config,
    log,
  );
  const sockets = serveWebSocket(server, yoga, deps);
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(config.port, config.host, resolve);
    });
  } catch (error) {
    await close();
    throw error;
  }
  const { port } = server.address() as AddressInfo;
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  return {
    url: `http://${host}:${port}${GRAPHQL_PATH}`,
    deps,
    openSockets: () => sockets.size,
    async stop() {
      draining = true;
      // What is kept alive ends with its next answer or soon without one: a balancer would go on using it.
      server.prependListener('request', (_request, response) => response.setHeader('connection', 'close'));
      server.keepAliveTimeout = 500;
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      const cutOff = setTimeout(() => server.closeAllConnections(), config.shutdownTimeoutMs);
      await Promise.all([sockets.close(config.shutdownTimeoutMs), closed]);
      clearTimeout(cutOff);
      await yoga.dispose();
      await close();
    },
  };
}

/** Everything but the servers: what a command like the seed works with too. */
export async function startServices(config: Config, log: Logger): Promise<{ deps: Deps; close(): Promise<void> }> {
  const secret = config.jwtSecret ?? (await keptJwtSecret(config.dataDir));
  const database = await openDatabase(config, log);
  const engine =
    config.redisUrl === undefined ? openLocalEvents() : openRedisEvents(config.redisUrl, config.redisPrefix, log);
  const bus = createBus(engine, randomUUID(), log);
  const passwords = createPasswords({ cost: config.bcryptCost, queueMax: config.passwordQueueMax });
  const close = async () => {
    await passwords.close();
    await bus.close();
    await database.close();
  };
  try {
    const { sweepIntervalMs } = config;
    const feed = await startFeed({ database, bus, kinds: changeKinds, sweepIntervalMs, log });
    const deps: Deps = {
      config,
      log,
      database,
      passwords,
      tokens: createTokens({ secret, accessTtlMs: config.accessTokenTtlMs }),
      feed,
      turns: createTurns(),
      sessionWatch: createSessionWatch(bus, database.generation),
      eventsConnected: () => bus.connected,
    };
    return {
      deps,
      async close() {
        await feed.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}
