import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Bus } from '../../src/realtime/bus.js';
import { createRoster, type Roster } from '../../src/realtime/roster.js';
import { stopShared } from '../support/shared.js';

beforeAll(stopShared);

const INTERVAL = 1_000;

/** Nodes with buses that can be disconnected. */
class Cluster {
  readonly nodes: Node[] = [];

  add(id: string): Node {
    const node = new Node(id, this);
    this.nodes.push(node);
    return node;
  }

  async pass(ms: number): Promise<void> {
    await vi.advanceTimersByTimeAsync(ms);
  }
}

class Node {
  readonly roster: Roster;
  connected = true;
  loses = false;
  changed = new Set<string>();
  lost: string[] = [];
  #listener: (text: string) => void = () => {};
  #onConnected = () => {};

  constructor(id: string, cluster: Cluster) {
    const self = this;
    const bus: Bus = {
      get connected() {
        return self.connected;
      },
      counts: { published: 0, received: 0, lost: 0 },
      publish(_channel, text) {
        if (!self.connected) return;
        for (const node of cluster.nodes) if (node !== self) node.receive(text);
      },
      subscribe: (_channel, listener) => {
        this.#listener = listener;
      },
      onConnected: (listener) => {
        this.#onConnected = listener;
      },
      close: async () => {},
    };
    this.roster = createRoster({
      bus,
      generation: 'g',
      nodeId: id,
      intervalMs: INTERVAL,
      isSingleNode: false,
      onChange: (keys) => {
        for (const key of keys) this.changed.add(key);
      },
      onLost: (keys) => this.lost.push(...keys),
      onKnown() {},
    });
  }

  start(): this {
    this.#onConnected();
    return this;
  }

  receive(text: string): void {
    if (this.connected && !this.loses) this.#listener(text);
  }

  cut(): void {
    this.connected = false;
  }

  reconnect(): void {
    this.connected = true;
    this.#onConnected();
  }

  takeChanged(): string[] {
    const changed = [...this.changed].sort();
    this.changed.clear();
    return changed;
  }
}

describe('a roster', () => {
  let cluster: Cluster;
  const begin = async (...ids: string[]) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
    cluster = new Cluster();
    const nodes = ids.map((id) => cluster.add(id).start());
    await cluster.pass(600);
    return nodes as [Node, Node, Node];
  };
  afterEach(() => {
    for (const { roster } of cluster.nodes) roster.close();
    vi.useRealTimers();
  });

  it('contains the newest value of each key on all nodes', async () => {
    const [a, b] = await begin('a', 'b');
    a.roster.set('x', '1');
    b.roster.set('y', '1');
    await cluster.pass(100);
    expect([b.roster.get('x'), a.roster.get('y')]).toEqual(['1', '1']);
    expect(b.takeChanged()).toEqual(['x', 'y']);
    b.roster.set('x', '2');
    await cluster.pass(100);
    expect([a.roster.get('x'), b.roster.get('x')]).toEqual(['2', '2']);
    expect(a.roster.isOnOtherNode('x')).toBe(true);
    b.roster.set('x', undefined);
    await cluster.pass(100);
    expect([a.roster.get('x'), b.roster.get('x')]).toEqual(['1', '1']);
    a.roster.set('x', undefined);
    await cluster.pass(100);
    expect([a.roster.get('x'), b.roster.get('x')]).toEqual([undefined, undefined]);
  });

  it('is replicated to a node that starts later, whatever its size', async () => {
    const [a] = await begin('a');
    for (let index = 0; index < 1_234; index += 1) a.roster.set(`key ${index}`.replace(' ', '-'), '1');
    await cluster.pass(100);
    const late = cluster.add('late');
    expect(late.roster.isKnown).toBe(false);
    late.start();
    await cluster.pass(600);
    expect(late.roster.isKnown).toBe(true);
    expect(late.roster.get('key-0')).toBe('1');
    expect(late.roster.get('key-1233')).toBe('1');
  });

  it('is complete again within an interval after messages were lost', async () => {
    const [a, b] = await begin('a', 'b');
    b.loses = true;
    a.roster.set('x', '1');
    a.roster.set('y', '1');
    await cluster.pass(100);
    b.loses = false;
    expect(b.roster.get('x')).toBeUndefined();
    await cluster.pass(INTERVAL + 100);
    expect(b.roster.get('x')).toBe('1');
    b.loses = true;
    a.roster.set('x', undefined);
    await cluster.pass(100);
    b.loses = false;
    // A later change reveals the lost one immediately.
    a.roster.set('z', '1');
    await cluster.pass(100);
    expect([b.roster.get('x'), b.roster.get('z')]).toEqual([undefined, '1']);
  });

  it('loses the entries of a node that is silent for three intervals, except for those of other nodes', async () => {
    const [a, b, c] = await begin('a', 'b', 'c');
    a.roster.set('x', '1');
    a.roster.set('both', '1');
    b.roster.set('both', '1');
    await cluster.pass(100);
    a.cut();
    a.roster.close();
    c.takeChanged();
    await cluster.pass(2 * INTERVAL);
    expect(c.roster.get('x')).toBe('1');
    await cluster.pass(2.5 * INTERVAL);
    expect(c.roster.get('x')).toBeUndefined();
    expect(c.roster.get('both')).toBe('1');
    expect(c.lost.sort()).toEqual(['both', 'x']);
  });

  it('is unknown while the bus is disconnected, without losing entries', async () => {
    const [a, b] = await begin('a', 'b');
    a.roster.set('x', '1');
    await cluster.pass(100);
    b.cut();
    await cluster.pass(10 * INTERVAL);
    expect(b.roster.isKnown).toBe(false);
    a.roster.set('y', '1');
    await cluster.pass(100);
    b.reconnect();
    expect(b.roster.isKnown).toBe(false);
    await cluster.pass(600);
    expect(b.roster.isKnown).toBe(true);
    expect(b.lost).toEqual([]);
    expect([b.roster.get('x'), b.roster.get('y')]).toEqual(['1', '1']);
    await cluster.pass(10 * INTERVAL);
    expect(b.lost).toEqual([]);
  });

  it('keeps the entries of a node that stops for the grace period', async () => {
    const [a, b] = await begin('a', 'b');
    a.roster.set('x', '1');
    await cluster.pass(100);
    a.roster.leave(5 * INTERVAL);
    a.cut();
    await cluster.pass(4.5 * INTERVAL);
    expect(b.roster.get('x')).toBe('1');
    await cluster.pass(INTERVAL);
    expect(b.roster.get('x')).toBeUndefined();
    expect(b.lost).toEqual([]);
  });
});
