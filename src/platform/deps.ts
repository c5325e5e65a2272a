import type { Slices } from '../core/slices.js';
import type { Passwords } from '../infra/auth/passwords.js';
import type { Tokens } from '../infra/auth/tokens.js';
import type { Config } from '../infra/config/config.js';
import type { Database } from '../infra/database/database.js';
import type { Mailer } from '../infra/mail.js';
import type { RateStore } from '../infra/rates.js';
import type { Logger } from '../infra/telemetry/log.js';
import type { Metrics } from '../infra/telemetry/metrics.js';
import type { Tracing } from '../infra/telemetry/tracing.js';
import type { Bus } from '../realtime/bus.js';
import type { Feed } from '../realtime/feed.js';
import type { Turns } from '../realtime/turns.js';
import type { Feature } from './feature.js';
import type { Services } from './service.js';

/** What features work with on one node. It knows none of them: what a feature offers to others is a `Service`. */
export interface Deps {
  /** Identifies the node among those of the same database; another one at each start. */
  nodeId: string;
  config: Config;
  log: Logger;
  metrics: Metrics;
  tracing: Tracing;
  database: Database;
  /** Messages between nodes, which can be lost. */
  bus: Bus;
  /** Live changes, in order and without gaps. */
  feed: Feed;
  /** Callers that want the same row lock wait here, one after another, instead of each occupying a connection. */
  turns: Turns;
  passwords: Passwords;
  tokens: Tokens;
  mailer: Mailer;
  /** Rate limits that all nodes count together. */
  rateStore: RateStore;
  /** Long computations give way to each other and to everything else between two slices of time. */
  slices: Slices;
  features: readonly Feature[];
  services: Services;
}
