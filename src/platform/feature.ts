import { firstSections, lastSections } from '../infra/config/config.js';
import type { Section } from '../infra/config/define-settings.js';
import type { Contribution, Deps, Feature } from './deps.js';
import type { Viewer } from './viewer.js';

/** The settings of a server with these features, in the order of docs/CONFIGURATION.md. */
export const sectionsOf = (features: readonly Feature[]): readonly Section[] => [
  ...firstSections,
  ...features.flatMap(({ settings = [] }) => settings),
  ...lastSections,
];

export const defineFeature = (name: string, feature: Omit<Feature, 'name'>): Feature => ({ name, ...feature });

/**
 * Calls the `onConnected` hooks for a connection that this viewer opened. Returns a function to call when it is closed.
 */
export function connected(deps: Deps, viewer: Pick<Viewer, 'userId'>): () => void {
  const endings = deps.features.flatMap(({ onConnected }) => onConnected?.(deps, viewer) ?? []);
  return () => {
    for (const end of endings) end();
  };
}

/** A place where features contribute items to another feature, which does not depend on them. */
export interface ExtensionPoint<Item, Combined = readonly Item[]> {
  readonly name: string;
  /** Makes a contribution for `Feature.contributes`. */
  with(item: Item): Contribution;
  /** The contributions of the features of a node, in the order of the list of features, after `combine`. */
  of(deps: Pick<Deps, 'features'>): Combined;
}

export function defineExtensionPoint<Item>(name: string): ExtensionPoint<Item>;
/** @param combine converts the contributions to the result of `of`. It is called once per list of features. */
export function defineExtensionPoint<Item, Combined>(
  name: string,
  combine: (items: readonly Item[]) => Combined,
): ExtensionPoint<Item, Combined>;
export function defineExtensionPoint<Item>(
  name: string,
  combine: (items: readonly Item[]) => unknown = (items) => items,
): ExtensionPoint<Item, unknown> {
  const known = new WeakMap<readonly Feature[], { combined: unknown }>();
  const point: ExtensionPoint<Item, unknown> = {
    name,
    with: (item) => ({ point, item }),
    of({ features }) {
      let entry = known.get(features);
      if (!entry) {
        const items = features.flatMap(({ contributes = [] }) =>
          contributes.filter((each) => each.point === point).map(({ item }) => item as Item),
        );
        entry = { combined: combine(items) };
        known.set(features, entry);
      }
      return entry.combined;
    },
  };
  return point;
}
