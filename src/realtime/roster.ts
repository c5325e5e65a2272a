import type { Bus } from './bus.js';

/**
 * A map that all nodes share: each node owns entries (a key with a short value) and replicates those of the other nodes.
 * A node publishes changes of its entries, and a periodic heartbeat with the version of its list. A node that has missed
 * changes requests the whole list. Nothing is stored in Redis, so that nothing is lost with it, and clocks of different
 * nodes are not compared.
 */
export interface Roster {
  /** Whether the entries of all nodes are known: not while the bus is disconnected, nor shortly after it reconnects. */
  readonly isKnown: boolean;
  /** The value that was set last for the key on any node; undefined if no node has the key. */
  get(key: string): string | undefined;
  /** Whether a node other than this one has the key. */
  isOnOtherNode(key: string): boolean;
  /** Sets an entry of this node, or removes it (undefined). */
  set(key: string, value: string | undefined): void;
  /**
   * Announces that this node stops. The other nodes remove its entries after `graceMs`, because its users are
   * reconnecting to them.
   */
  leave(graceMs: number): void;
  close(): void;
}

export interface RosterOptions {
  bus: Bus;
  generation: string;
  nodeId: string;
  /** The interval of heartbeats in milliseconds. A node that sends nothing for three intervals counts as lost. */
  intervalMs: number;
  /** True if there are no other nodes, so that all entries are known from the beginning. */
  isSingleNode: boolean;
  /** Called with keys whose values may have changed: many at once after a node was lost. */
  onChange(keys: readonly string[]): void;
  /** Called with the keys of a node that was lost without having announced that it stops. Other nodes may have them. */
  onLost(keys: readonly string[], silentMs: number): void;
  /** Called when the entries of all nodes are known (again). */
  onKnown(): void;
}

/** How long other nodes may take to send their lists, in milliseconds. */
const SYNC_MS = 500;
/** Changes within this time are published together, in milliseconds. */
const COLLECT_MS = 50;
/** A node that sends nothing for this number of intervals counts as lost. */
const SILENT_INTERVALS = 3;
/** The maximum number of entries in one message, of about 20 KB. */
const PART_MAX = 500;
const CHANNEL = 'roster';

interface Node {
  /** The version of its list; undefined until the whole list was received. */
  version: number | undefined;
  entries: Map<string, { value: string; order: number }>;
  receivedAt: number;
  /** The parts of its list that were received so far. */
  parts: { version: number; entries: [string, string][]; count: number } | undefined;
  isRequested: boolean;
  /** The node has announced that it stops; its entries are removed when its grace period is over. */
  isLeaving: boolean;
}

export function createRoster(options: RosterOptions): Roster {
  const { bus, nodeId, intervalMs } = options;
  const channel = `${options.generation}:${CHANNEL}`;
  const own = new Map<string, { value: string; order: number }>();
  const nodes = new Map<string, Node>();
  /** Incremented with each message of any node, because the newest value of a key counts. */
  let order = 0;
  let version = 0;
  let changed = new Map<string, string | undefined>();
  let publishTimer: NodeJS.Timeout | undefined;
  let syncTimer: NodeJS.Timeout | undefined;
  let isSynced = options.isSingleNode;
  let checkedAt = performance.now();

  const publish = (text: string) => bus.publish(channel, `${nodeId} ${text}`);
  const formatEntry = ([key, value]: readonly [string, string | undefined]) => `${key}=${value ?? ''}`;
  const parseEntries = (text: string): [string, string][] =>
    text === '' ? [] : text.split(',').map((entry) => entry.split('=') as [string, string]);

  function publishChanges(): void {
    publishTimer = undefined;
    const changes = [...changed];
    changed = new Map();
    for (let from = 0; from < changes.length; from += PART_MAX) {
      version += 1;
      publish(
        `delta ${version} ${changes
          .slice(from, from + PART_MAX)
          .map(formatEntry)
          .join(',')}`,
      );
    }
  }

  function publishAll(): void {
    // The list already contains pending changes. Publishing them first raises its version accordingly.
    clearTimeout(publishTimer);
    if (publishTimer) publishChanges();
    const entries = [...own].map(([key, { value }]) => [key, value] as const);
    const count = Math.max(1, Math.ceil(entries.length / PART_MAX));
    for (let part = 0; part < count; part += 1) {
      const texts = entries.slice(part * PART_MAX, (part + 1) * PART_MAX).map(formatEntry);
      publish(`part ${version} ${part} ${count} ${texts.join(',')}`);
    }
  }

  function nodeOf(id: string): Node {
    let node = nodes.get(id);
    if (!node) {
      node = {
        version: undefined,
        entries: new Map(),
        receivedAt: 0,
        parts: undefined,
        isRequested: false,
        isLeaving: false,
      };
      nodes.set(id, node);
    }
    node.receivedAt = performance.now();
    return node;
  }

  function requestList(id: string, node: Node): void {
    if (node.isRequested) return;
    node.isRequested = true;
    publish(`ask ${id}`);
  }

  function apply(node: Node, changes: readonly [string, string][]): void {
    order += 1;
    for (const [key, value] of changes) {
      if (value === '') node.entries.delete(key);
      else node.entries.set(key, { value, order });
    }
    options.onChange(changes.map(([key]) => key));
  }

  function replace(node: Node, entries: readonly [string, string][]): void {
    order += 1;
    const before = node.entries;
    // An unchanged value keeps its order, so that it does not replace newer values of other nodes.
    node.entries = new Map(
      entries.map(([key, value]) => {
        const known = before.get(key);
        return [key, known?.value === value ? known : { value, order }];
      }),
    );
    options.onChange([...new Set([...before.keys(), ...node.entries.keys()])]);
  }

  function drop(id: string): string[] {
    const keys = [...(nodes.get(id)?.entries.keys() ?? [])];
    nodes.delete(id);
    return keys;
  }

  function receive(text: string): void {
    const [id = '', word, ...rest] = text.split(' ');
    if (word === 'ask') {
      if (rest[0] === nodeId || rest[0] === '*') publishAll();
      return;
    }
    const node = nodeOf(id);
    if (word === 'beat') {
      node.isRequested = false;
      if (node.version !== Number(rest[0])) requestList(id, node);
    } else if (word === 'delta') {
      const next = Number(rest[0]);
      if (node.version === next - 1) {
        node.version = next;
        apply(node, parseEntries(rest[1] ?? ''));
      } else if (node.version === undefined || node.version < next) requestList(id, node);
    } else if (word === 'part') {
      const [ofVersion, part, count] = rest.slice(0, 3).map(Number) as [number, number, number];
      if (part === 0) node.parts = { version: ofVersion, entries: [], count: 0 };
      const { parts } = node;
      if (!parts || parts.version !== ofVersion || parts.count !== part) return;
      parts.entries.push(...parseEntries(rest[3] ?? ''));
      parts.count += 1;
      if (parts.count < count) return;
      node.parts = undefined;
      node.isRequested = false;
      // A list that another node requested may be older than changes that were received since.
      if (node.version !== undefined && node.version > ofVersion) return;
      node.version = ofVersion;
      replace(node, parts.entries);
    } else if (word === 'leave') {
      node.isLeaving = true;
      const leaving = node;
      setTimeout(() => {
        if (nodes.get(id) === leaving) options.onChange(drop(id));
      }, Number(rest[0])).unref();
    }
  }

  function synchronize(): void {
    isSynced = false;
    clearTimeout(syncTimer);
    // This node could not receive anything: the others were not silent.
    for (const node of nodes.values()) node.receivedAt = performance.now();
    publish('ask *');
    publishAll();
    syncTimer = setTimeout(() => {
      isSynced = true;
      options.onKnown();
    }, SYNC_MS);
  }

  if (!options.isSingleNode) {
    bus.subscribe(channel, receive);
    bus.onConnected(synchronize);
  }

  const heartbeat = setInterval(() => {
    const now = performance.now();
    const isLate = now - checkedAt > 2 * intervalMs;
    checkedAt = now;
    publish(`beat ${version}`);
    for (const [id, node] of nodes) {
      if (node.isLeaving) continue;
      // If this node was blocked or disconnected, it cannot determine whether others were silent.
      if (isLate || !bus.connected) node.receivedAt = now;
      else if (now - node.receivedAt > SILENT_INTERVALS * intervalMs) {
        const lost = drop(id);
        options.onLost(lost, now - node.receivedAt);
        options.onChange(lost);
      }
    }
  }, intervalMs);

  function newestOf(key: string): { value: string; order: number } | undefined {
    let newest = own.get(key);
    for (const { entries } of nodes.values()) {
      const entry = entries.get(key);
      if (entry && (!newest || entry.order > newest.order)) newest = entry;
    }
    return newest;
  }

  return {
    get isKnown() {
      return isSynced && bus.connected;
    },
    get: (key) => newestOf(key)?.value,
    isOnOtherNode: (key) => [...nodes.values()].some(({ entries }) => entries.has(key)),
    set(key, value) {
      if (own.get(key)?.value === value) return;
      order += 1;
      if (value === undefined) own.delete(key);
      else own.set(key, { value, order });
      changed.set(key, value);
      publishTimer ??= setTimeout(publishChanges, COLLECT_MS);
      options.onChange([key]);
    },
    leave(graceMs) {
      clearInterval(heartbeat);
      publish(`leave ${graceMs}`);
    },
    close() {
      clearInterval(heartbeat);
      clearTimeout(publishTimer);
      clearTimeout(syncTimer);
    },
  };
}
