import type { Bus } from './bus.js';

/**
 * Who is there on any node, by a key, with a short value: every node tells its own entries and knows those of all
 * others. Nodes tell what changes, and once an interval that they live and which number their list has: who lacks
 * something asks for the whole list. Nothing is kept in Redis, so nothing is lost with it; no clocks are compared.
 */
export interface Roster {
  /** False while others cannot be heard, and for a moment after: then only guesses could be made. */
  readonly isKnown: boolean;
  /** What any node says of a key, its newest word; undefined where none has it. */
  get(key: string): string | undefined;
  /** Whether another node has the key. */
  isElsewhere(key: string): boolean;
  /** Sets, or (undefined) removes, an entry of this node's own. */
  set(key: string, value: string | undefined): void;
  /** The other nodes drop this one's entries only after that time: for its people are on their way to them. */
  leave(graceMs: number): void;
  close(): void;
}

export interface RosterOptions {
  bus: Bus;
  generation: string;
  nodeId: string;
  /** How often a node tells that it lives, in milliseconds. After three of these in silence it counts as gone. */
  intervalMs: number;
  /** Absent where there are no other nodes: then all is known from the beginning. */
  alone: boolean;
  /** What is said of a key may be another than before; of many at once after a node was lost. */
  onChange(keys: readonly string[]): void;
  /** A node is gone that did not take leave, and these keys with it, unless they are elsewhere. */
  onLost(keys: readonly string[], silentMs: number): void;
  /** It is known again how everything is. */
  onKnown(): void;
}

/** How long it takes others to answer, in milliseconds, with room for a busy moment. */
const ANSWER_MS = 500;
/** What changes within so many milliseconds is told together. */
const COLLECT_MS = 50;
/** Silent for so many intervals, a node counts as gone. */
const SILENT_INTERVALS = 3;
/** Entries in one message: some 20 KB. */
const PART_MAX = 500;
const CHANNEL = 'roster';

interface Node {
  /** Undefined until its whole list is here. */
  version: number | undefined;
  entries: Map<string, { value: string; order: number }>;
  heardAt: number;
  /** Parts of its whole list, while they come. */
  parts: { version: number; entries: [string, string][]; count: number } | undefined;
  asked: boolean;
  /** It says no more, and is dropped when its time is over. */
  leaving: boolean;
}

export function createRoster(options: RosterOptions): Roster {
  const { bus, nodeId, intervalMs } = options;
  const channel = `${options.generation}:${CHANNEL}`;
  const own = new Map<string, { value: string; order: number }>();
  const nodes = new Map<string, Node>();
  /** Grows with every word of anybody: the newest word on a key counts. */
  let order = 0;
  let version = 0;
  let changed = new Map<string, string | undefined>();
  let telling: NodeJS.Timeout | undefined;
  let settling: NodeJS.Timeout | undefined;
  let settled = options.alone;
  let checkedAt = performance.now();

  const publish = (text: string) => bus.publish(channel, `${nodeId} ${text}`);
  const written = ([key, value]: readonly [string, string | undefined]) => `${key}=${value ?? ''}`;
  const read = (text: string): [string, string][] =>
    text === '' ? [] : text.split(',').map((entry) => entry.split('=') as [string, string]);

  function tellChanges(): void {
    telling = undefined;
    const changes = [...changed];
    changed = new Map();
    for (let from = 0; from < changes.length; from += PART_MAX) {
      version += 1;
      publish(
        `delta ${version} ${changes
          .slice(from, from + PART_MAX)
          .map(written)
          .join(',')}`,
      );
    }
  }

  function tellAll(): void {
    // What is still to be told is in the list already.
    clearTimeout(telling);
    if (telling) tellChanges();
    const entries = [...own].map(([key, { value }]) => [key, value] as const);
    const count = Math.max(1, Math.ceil(entries.length / PART_MAX));
    for (let part = 0; part < count; part += 1) {
      const texts = entries.slice(part * PART_MAX, (part + 1) * PART_MAX).map(written);
      publish(`part ${version} ${part} ${count} ${texts.join(',')}`);
    }
  }

  function nodeOf(id: string): Node {
    let node = nodes.get(id);
    if (!node) {
      node = { version: undefined, entries: new Map(), heardAt: 0, parts: undefined, asked: false, leaving: false };
      nodes.set(id, node);
    }
    node.heardAt = performance.now();
    return node;
  }

  function askFor(id: string, node: Node): void {
    if (node.asked) return;
    node.asked = true;
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
    // A word that is not new does not outdo what others said since.
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

  function hear(text: string): void {
    const [id = '', word, ...rest] = text.split(' ');
    if (word === 'ask') {
      if (rest[0] === nodeId || rest[0] === '*') tellAll();
      return;
    }
    const node = nodeOf(id);
    if (word === 'beat') {
      node.asked = false;
      if (node.version !== Number(rest[0])) askFor(id, node);
    } else if (word === 'delta') {
      const next = Number(rest[0]);
      if (node.version === next - 1) {
        node.version = next;
        apply(node, read(rest[1] ?? ''));
      } else if (node.version === undefined || node.version < next) askFor(id, node);
    } else if (word === 'part') {
      const [ofVersion, part, count] = rest.slice(0, 3).map(Number) as [number, number, number];
      if (part === 0) node.parts = { version: ofVersion, entries: [], count: 0 };
      const { parts } = node;
      if (!parts || parts.version !== ofVersion || parts.count !== part) return;
      parts.entries.push(...read(rest[3] ?? ''));
      parts.count += 1;
      if (parts.count < count) return;
      node.parts = undefined;
      node.asked = false;
      // One that somebody else asked for may be older than what came since.
      if (node.version !== undefined && node.version > ofVersion) return;
      node.version = ofVersion;
      replace(node, parts.entries);
    } else if (word === 'leave') {
      node.leaving = true;
      const left = node;
      setTimeout(() => {
        if (nodes.get(id) === left) options.onChange(drop(id));
      }, Number(rest[0])).unref();
    }
  }

  function settle(): void {
    settled = false;
    clearTimeout(settling);
    // Nobody could be heard: nobody was silent.
    for (const node of nodes.values()) node.heardAt = performance.now();
    publish('ask *');
    tellAll();
    settling = setTimeout(() => {
      settled = true;
      options.onKnown();
    }, ANSWER_MS);
  }

  if (!options.alone) {
    bus.subscribe(channel, hear);
    bus.onConnected(settle);
  }

  const beat = setInterval(() => {
    const now = performance.now();
    const late = now - checkedAt > 2 * intervalMs;
    checkedAt = now;
    publish(`beat ${version}`);
    for (const [id, node] of nodes) {
      // Who was not awake, or could hear nobody, cannot say that others were silent.
      if (node.leaving) continue;
      if (late || !bus.connected) node.heardAt = now;
      else if (now - node.heardAt > SILENT_INTERVALS * intervalMs) {
        const lost = drop(id);
        options.onLost(lost, now - node.heardAt);
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
      return settled && bus.connected;
    },
    get: (key) => newestOf(key)?.value,
    isElsewhere: (key) => [...nodes.values()].some(({ entries }) => entries.has(key)),
    set(key, value) {
      if (own.get(key)?.value === value) return;
      order += 1;
      if (value === undefined) own.delete(key);
      else own.set(key, { value, order });
      changed.set(key, value);
      telling ??= setTimeout(tellChanges, COLLECT_MS);
      options.onChange([key]);
    },
    leave(graceMs) {
      clearInterval(beat);
      publish(`leave ${graceMs}`);
    },
    close() {
      clearInterval(beat);
      clearTimeout(telling);
      clearTimeout(settling);
    },
  };
}
