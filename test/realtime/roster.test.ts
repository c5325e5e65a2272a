import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Bus } from '../../src/realtime/bus.js';
import { createRoster, type Roster } from '../../src/realtime/roster.js';

const INTERVAL = 1_000;

/** Nodes that hear each other over buses that can be made to lose everything. */
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
      counts: { published: 0, heard: 0, lost: 0 },
      publish(_channel, text) {
        if (!self.connected) return;
        for (const node of cluster.nodes) if (node !== self) node.hear(text);
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
      alone: false,
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

  hear(text: string): void {
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

  it('is the same on all nodes, the newest word on each key', async () => {
    const [a, b] = await begin('a', 'b');
    a.roster.set('x', '1');
    b.roster.set('y', '1');
    await cluster.pass(100);
    expect([b.roster.get('x'), a.roster.get('y')]).toEqual(['1', '1']);
    expect(b.takeChanged()).toEqual(['x', 'y']);
    b.roster.set('x', '2');
    await cluster.pass(100);
    expect([a.roster.get('x'), b.roster.get('x')]).toEqual(['2', '2']);
    expect(a.roster.isElsewhere('x')).toBe(true);
    b.roster.set('x', undefined);
    await cluster.pass(100);
    expect([a.roster.get('x'), b.roster.get('x')]).toEqual(['1', '1']);
    a.roster.set('x', undefined);
    await cluster.pass(100);
    expect([a.roster.get('x'), b.roster.get('x')]).toEqual([undefined, undefined]);
  });

  it('is known to who comes later, however long it is', async () => {
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

  it('is right again within an interval when messages were lost', async () => {
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
    // A change after a lost one shows it at once.
    a.roster.set('z', '1');
    await cluster.pass(100);
    expect([b.roster.get('x'), b.roster.get('z')]).toEqual([undefined, '1']);
  });

  it('loses a node that is silent for three intervals, and nothing that is elsewhere', async () => {
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

  it('says nothing of others while it hears nobody, and forgets nobody for that', async () => {
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

  it('keeps who takes leave for the grace, and then no longer', async () => {
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
