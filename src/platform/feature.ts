import { type Config, firstSections, lastSections } from '../infra/config/config.js';
import type { Section } from '../infra/config/define-settings.js';
import type { Tx } from '../infra/database/database.js';
import type { ChangeKind } from '../realtime/change.js';
import type { Deps } from './deps.js';
import type { Viewer } from './viewer.js';

/**
 * What a feature plugs into the node. All of it is optional; a node calls the hooks of its features in the order of
 * their list (`src/app/features.ts`).
 */
export interface Feature {
  readonly name: string;
  /** The feature's environment variables. */
  readonly settings?: readonly Section[];
  /** Compares settings with those of other parts. @throws {ConfigError} where they contradict each other. */
  readonly checkConfig?: (config: Config) => void;
  /** Imports the modules that add the feature's types and fields to the GraphQL schema. */
  readonly schema?: (features: readonly Feature[]) => Promise<unknown>;
  /** What the feature records in the change log or announces through the feed. */
  readonly changeKinds?: (deps: Pick<Deps, 'config' | 'features'>) => readonly ChangeKind[];
  /** The optional capabilities that `serverInfo.features` names, with this configuration. */
  readonly capabilities?: (config: Config) => readonly string[];
  /** Contributions to extension points of other features. */
  readonly contributes?: readonly Contribution[];
  /** Creates the services that run in the background, and connects services with each other. */
  readonly start?: (deps: Deps) => void;
  /** Runs before a node accepts clients, in its own process only; commands do not run it. */
  readonly beforeServing?: (deps: Deps) => Promise<void>;
  /** Runs when a connection of a person begins (a WebSocket or a stream over HTTP); what it returns, when it ends. */
  readonly onConnected?: (deps: Deps, viewer: Pick<Viewer, 'userId'>) => () => void;
  /** Runs when a node begins to stop, before its clients are disconnected. */
  readonly beforeStopping?: (deps: Deps) => void;
  /** Old rows that a node deletes from time to time. */
  readonly retention?: readonly Retention[];
  /**
   * Deletes what nobody but the person needs, in the transaction that deletes their account. What takes long belongs
   * into an erasure step instead.
   */
  readonly onAccountDeleted?: (tx: Tx, userId: string) => Promise<void>;
  /** Registers what the feature counts elsewhere; what is counted as it happens needs no registration. */
  readonly metrics?: (deps: Deps) => void;
}

/** Rows of one table that are deleted when they are old. */
export interface Retention {
  /** Names the rows in logs and as the label `table` of the metrics; unique. */
  readonly table: string;
  /** Deletes what is too old, in batches. @returns how many rows. */
  trim(deps: Deps): Promise<number>;
}

/** All settings of a server with these features, in the order of docs/CONFIGURATION.md. */
export const sectionsOf = (features: readonly Feature[]): readonly Section[] => [
  ...firstSections,
  ...features.flatMap(({ settings = [] }) => settings),
  ...lastSections,
];

export const defineFeature = (name: string, feature: Omit<Feature, 'name'>): Feature => ({ name, ...feature });

/** Tells the features that a connection of a person begins. @returns a function to call when it ends. */
export function connected(deps: Deps, viewer: Pick<Viewer, 'userId'>): () => void {
  const endings = deps.features.flatMap(({ onConnected }) => onConnected?.(deps, viewer) ?? []);
  return () => {
    for (const end of endings) end();
  };
}

/** A place where features add something of one kind to another feature, which does not know them. */
export interface ExtensionPoint<Item> {
  readonly name: string;
  /** For `Feature.contributes`. */
  with(item: Item): Contribution;
  /** What the features of a node contribute, in the order of their list. */
  of(deps: Pick<Deps, 'features'>): readonly Item[];
}

interface Contribution {
  readonly point: object;
  readonly item: unknown;
}

export function defineExtensionPoint<Item>(name: string): ExtensionPoint<Item> {
  const known = new WeakMap<readonly Feature[], readonly Item[]>();
  const point: ExtensionPoint<Item> = {
    name,
    with: (item) => ({ point, item }),
    of({ features }) {
      let items = known.get(features);
      if (!items) {
        items = features.flatMap(({ contributes = [] }) =>
          contributes.filter((each) => each.point === point).map(({ item }) => item as Item),
        );
        known.set(features, items);
      }
      return items;
    },
  };
  return point;
}
