import { describe, expect, it } from 'vitest';
import type { Deps } from '../../src/platform/deps.js';
import { defineExtensionPoint, defineFeature } from '../../src/platform/feature.js';
import { createServices, defineHook, defineService } from '../../src/platform/service.js';

/** A node that has nothing but services. */
function makeDeps(): Pick<Deps, 'services'> {
  const services = createServices(() => ({ services }) as Deps);
  return { services };
}

describe('a service', () => {
  it('is created when it is first used, once per node', () => {
    let created = 0;
    const counter = defineService('counter', () => ({ number: ++created }));
    const [one, other] = [makeDeps(), makeDeps()];
    expect(created).toBe(0);
    expect(counter.of(one)).toBe(counter.of(one));
    expect(counter.of(one)).not.toBe(counter.of(other));
    expect(created).toBe(2);
  });

  it('is created once even if it is undefined', () => {
    let created = 0;
    const absent = defineService('absent', () => {
      created += 1;
      return undefined;
    });
    const deps = makeDeps();
    expect([absent.of(deps), absent.of(deps)]).toEqual([undefined, undefined]);
    expect(created).toBe(1);
  });

  it('is closed before the services that it needs', async () => {
    const closed: string[] = [];
    const closable = (name: string) => ({
      async close() {
        // What is awaited here would let a later service close first if closing were not sequential.
        await Promise.resolve();
        closed.push(name);
      },
    });
    const store = defineService('store', () => closable('store'));
    const worker = defineService('worker', (deps) => ({ ...closable('worker'), store: store.of(deps) }));
    const reporter = defineService('reporter', (deps) => ({ ...closable('reporter'), worker: worker.of(deps) }));
    const deps = makeDeps();
    reporter.of(deps);
    await deps.services.close();
    expect(closed).toEqual(['reporter', 'worker', 'store']);
  });

  it('is closed even if another service fails to close', async () => {
    let closed = false;
    const first = defineService('first', () => ({
      close() {
        closed = true;
      },
    }));
    const second = defineService('second', () => ({
      close() {
        throw new Error('cannot close');
      },
    }));
    const deps = makeDeps();
    first.of(deps);
    second.of(deps);
    await expect(deps.services.close()).rejects.toThrow('cannot close');
    expect(closed).toBe(true);
  });

  it('reports the whole cycle if it requires itself', () => {
    const ring: { first: ReturnType<typeof defineService> | undefined } = { first: undefined };
    const second = defineService('second', (deps): unknown => ring.first?.of(deps));
    ring.first = defineService('first', (deps) => second.of(deps));
    const deps = makeDeps();
    expect(() => second.of(deps)).toThrow('second → first → second');
    // A failed creation leaves nothing behind.
    ring.first = defineService('first', () => 'created');
    expect(second.of(deps)).toBe('created');
  });
});

it('a hook calls the listeners of its own node in the order in which they were added', () => {
  const hook = defineHook<[text: string]>('hook');
  const [one, other] = [makeDeps(), makeDeps()];
  const received: string[] = [];
  hook.on(one, (text) => received.push(`first ${text}`));
  hook.on(one, (text) => received.push(`second ${text}`));
  hook.emit(other, 'unheard');
  hook.emit(one, 'received');
  expect(received).toEqual(['first received', 'second received']);
});

it('an extension point lists only its own contributions, in the order of the features', () => {
  const [colors, sizes] = [defineExtensionPoint<string>('colors'), defineExtensionPoint<number>('sizes')];
  const features = [
    defineFeature('one', { contributes: [colors.with('red'), sizes.with(1)] }),
    defineFeature('two', {}),
    defineFeature('three', { contributes: [colors.with('blue')] }),
  ];
  expect(colors.of({ features })).toEqual(['red', 'blue']);
  expect(sizes.of({ features })).toEqual([1]);
  expect(colors.of({ features: [] })).toEqual([]);
});
