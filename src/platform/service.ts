import { createLookup, type Lookup } from '../infra/async/lookup.js';
import type { Deps, Service, Services } from './deps.js';

/**
 * Defines a service. `create` should obtain the services it depends on while it runs, because services are closed in
 * the reverse order of their creation, so that each is closed before its dependencies.
 * @param create creates the instance. If the instance has a `close` method, the node awaits it while stopping.
 */
export function defineService<Value>(name: string, create: (deps: Deps) => Value): Service<Value> {
  const service: Service<Value> = {
    name,
    of: ({ services }) => services.get(service, create),
  };
  return service;
}

/** Defines a service that reads values by keys and batches the keys of concurrent callers (`Lookup`). */
export const defineLookup = <Key, Value>(
  name: string,
  read: (deps: Deps, keys: readonly Key[]) => Promise<readonly Value[]>,
): Service<Lookup<Key, Value>> => defineService(name, (deps) => createLookup((keys) => read(deps, keys)));

/**
 * @param depsOf returns the dependencies that services are created with. It is called when the first service is
 *   created.
 */
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

/** An event inside one node. The feature that emits it does not depend on the listeners. */
export interface Hook<Args extends readonly unknown[]> {
  /** Registers a listener; to be called in `Feature.start`. */
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
