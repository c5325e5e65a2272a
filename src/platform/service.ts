import { createLookup, type Lookup } from '../infra/async/lookup.js';
import type { Deps } from './deps.js';

/**
 * Something that a node has once: a background worker, a tracker, a batching lookup, a rate limit. Its feature defines
 * it; whoever needs it calls `of`, which creates it at the first call.
 */
export interface Service<Value> {
  readonly name: string;
  /** The instance of this node. @throws when it is created by something that it needs itself. */
  of(deps: Pick<Deps, 'services'>): Value;
}

/**
 * Defines a service. What it needs of other services it should take while it is created: services are closed in the
 * reverse order of their creation, each before those that it needs.
 * @param create makes the instance; if that has a `close` method, the node awaits it when it stops.
 */
export function defineService<Value>(name: string, create: (deps: Deps) => Value): Service<Value> {
  const service: Service<Value> = {
    name,
    of: ({ services }) => services.get(service, create),
  };
  return service;
}

/** Defines a service that reads values by keys, many callers' keys at a time (`Lookup`). */
export const defineLookup = <Key, Value>(
  name: string,
  read: (deps: Deps, keys: readonly Key[]) => Promise<readonly Value[]>,
): Service<Lookup<Key, Value>> => defineService(name, (deps) => createLookup((keys) => read(deps, keys)));

/** The services of one node. */
export interface Services {
  get<Value>(service: Service<Value>, create: (deps: Deps) => Value): Value;
  /** Sets the instance of a service, for a test that observes or delays it. */
  replace<Value>(service: Service<Value>, value: Value): void;
  /** Closes all of them, the latest first. What one of them throws is thrown when the others are closed. */
  close(): Promise<void>;
}

/** @param depsOf gives what services are created with: by then the node has it. */
export function createServices(depsOf: () => Deps): Services {
  const created = new Map<Service<unknown>, unknown>();
  const inCreation = new Set<Service<unknown>>();
  return {
    get<Value>(service: Service<Value>, create: (deps: Deps) => Value): Value {
      if (created.has(service)) return created.get(service) as Value;
      if (inCreation.has(service)) {
        const names = [...inCreation, service].map(({ name }) => name).join(' → ');
        throw new Error(`These services need each other: ${names}`);
      }
      inCreation.add(service);
      try {
        const value = create(depsOf());
        created.set(service, value);
        return value;
      } finally {
        inCreation.delete(service);
      }
    },
    replace: (service, value) => void created.set(service, value),
    async close() {
      const errors: unknown[] = [];
      for (const value of [...created.values()].reverse()) {
        try {
          if (isClosable(value)) await value.close();
        } catch (error) {
          errors.push(error);
        }
      }
      if (errors.length > 0) throw errors[0];
    },
  };
}

const isClosable = (value: unknown): value is { close(): void | Promise<void> } =>
  (typeof value === 'object' || typeof value === 'function') &&
  value !== null &&
  'close' in value &&
  typeof value.close === 'function';

/** An event inside one node: a feature emits it and knows none of those that listen. */
export interface Hook<Args extends readonly unknown[]> {
  /** Calls `listener` from now on; call it in `Feature.start`. */
  on(deps: Pick<Deps, 'services'>, listener: (...args: Args) => void): void;
  emit(deps: Pick<Deps, 'services'>, ...args: Args): void;
}

export function defineHook<Args extends readonly unknown[]>(name: string): Hook<Args> {
  const listeners = defineService(name, (): ((...args: Args) => void)[] => []);
  return {
    on: (deps, listener) => void listeners.of(deps).push(listener),
    emit(deps, ...args) {
      for (const listener of listeners.of(deps)) listener(...args);
    },
  };
}
