import type { Slices } from '../core/steps.js';
import type { Passwords } from '../infra/auth/passwords.js';
import type { Secrets } from '../infra/auth/secrets.js';
import type { Tokens } from '../infra/auth/tokens.js';
import type { Config } from '../infra/config/config.js';
import type { Section } from '../infra/config/define-settings.js';
import type { Database, Tx } from '../infra/database/database.js';
import type { Mailer } from '../infra/mail.js';
import type { RateStore } from '../infra/rates.js';
import type { Logger } from '../infra/telemetry/log.js';
import type { Metrics } from '../infra/telemetry/metrics.js';
import type { Tracing } from '../infra/telemetry/tracing.js';
import type { Bus } from '../realtime/bus.js';
import type { ChangeKind } from '../realtime/change.js';
import type { Feed } from '../realtime/feed.js';
import type { Viewer } from './viewer.js';

// A service is created with the dependencies, which contain the services and the features: these types share a file
// because they refer to each other.

/**
 * The dependencies of features on one node. This type does not depend on any feature: what a feature offers to others
 * is a `Service`.
 */
export interface Deps {
  /** Identifies this run of the node among the nodes of the same database. */
  nodeId: string;
  config: Config;
  log: Logger;
  metrics: Metrics;
  tracing: Tracing;
  database: Database;
  /** Messages between nodes, delivered at most once. */
  bus: Bus;
  /** Live changes, in order and without gaps. */
  feed: Feed;
  passwords: Passwords;
  tokens: Tokens;
  secrets: Secrets;
  mailer: Mailer;
  /** Storage of rate limits that are shared by all nodes. */
  rateStore: RateStore;
  /** Runs CPU-bound computations in time slices, so that they do not block the event loop. */
  slices: Slices;
  features: readonly Feature[];
  services: Services;
}

/**
 * Something that a node has exactly once: a background worker, a tracker, a batching lookup, a rate limit. A feature
 * defines it, and `of` creates it when it is first used.
 */
export interface Service<Value> {
  readonly name: string;
  /** The instance of this node. Throws if its creation requires itself. */
  of(deps: Pick<Deps, 'services'>): Value;
}

/** The services of one node. */
export interface Services {
  get<Value>(service: Service<Value>, create: (deps: Deps) => Value): Value;
  /** Replaces the instance of a service, for tests that observe or delay it. */
  replace<Value>(service: Service<Value>, value: Value): void;
  /**
   * Closes all services, the most recently created first. The first error is thrown after the others have been closed.
   */
  close(): Promise<void>;
}

/**
 * What a feature adds to the node. All properties are optional. A node calls the hooks of its features in the order of
 * their list (`src/app/features.ts`).
 */
export interface Feature {
  readonly name: string;
  /** The feature's environment variables. */
  readonly settings?: readonly Section[];
  /**
   * Validates combinations of settings, including those of other features. Throws a ConfigError if they contradict each
   * other.
   */
  readonly checkConfig?: (config: Config) => void;
  /** Imports the modules that add the feature's types and fields to the GraphQL schema. */
  readonly schema?: (features: readonly Feature[]) => Promise<unknown>;
  /** The kinds of changes that the feature records in the change log or announces through the feed. */
  readonly changeKinds?: (deps: Pick<Deps, 'config' | 'features'>) => readonly ChangeKind[];
  /** What `serverInfo.features` lists if the configuration enables it. */
  readonly capabilities?: readonly Capability[];
  /** Contributions to extension points of other features. */
  readonly contributes?: readonly Contribution[];
  /** Starts background services, and connects services of features with each other. */
  readonly start?: (deps: Deps) => void;
  /** Runs before a node accepts clients. Commands do not run it. */
  readonly beforeServing?: (deps: Deps) => Promise<void>;
  /**
   * Called when a viewer opens a connection (a WebSocket or an HTTP stream). The returned function is called when the
   * connection is closed.
   */
  readonly onConnected?: (deps: Deps, viewer: Pick<Viewer, 'userId'>) => () => void;
  /** Called when a node begins to stop, before its clients are disconnected. */
  readonly beforeStopping?: (deps: Deps) => void;
  /** Old rows that a node deletes periodically. */
  readonly retention?: readonly Retention[];
  /**
   * Deletes rows that only their owner needs, in the transaction that deletes the account. Deletions that take long
   * belong into an erasure step instead.
   */
  readonly onAccountDeleted?: (tx: Tx, userId: string) => Promise<void>;
  /**
   * Registers metrics whose values are read on demand. Counters that are incremented where the event happens need no
   * registration.
   */
  readonly metrics?: (deps: Deps) => void;
}

/** Something that clients can use on some servers and not on others. */
export interface Capability {
  /** The value in `serverInfo.features`. */
  readonly name: string;
  /** Continues the sentence "the feature is enabled: …" in the schema, in lower case and without a full stop. */
  readonly description: string;
  isEnabled(config: Config): boolean;
}

/** Rows of one table that are deleted when they have expired. */
export interface Retention {
  /** The unique name of the rows, for logs and for the label `table` of metrics. */
  readonly table: string;
  /** Deletes expired rows in batches. Returns the number of deleted rows. */
  trim(deps: Deps): Promise<number>;
}

/** An item for an extension point of another feature: see `ExtensionPoint`. */
export interface Contribution {
  readonly point: object;
  readonly item: unknown;
}
