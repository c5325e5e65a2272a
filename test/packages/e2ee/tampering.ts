import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import {
  buildSchema,
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLNamedType,
  type GraphQLOutputType,
  getNamedType,
  getNullableType,
  isCompositeType,
  isEnumType,
  isInterfaceType,
  isListType,
  isObjectType,
  isUnionType,
  type OperationDefinitionNode,
  parse,
  type SelectionSetNode,
} from 'graphql';
import { type RawData, WebSocket, WebSocketServer } from 'ws';
import { atEnd } from '../../support/ending.js';

type Json = Record<string, unknown>;

const schema = buildSchema(readFileSync('schema.graphql', 'utf8'));

/** A value of an answer: the field that it belongs to, and where it is. */
interface Site {
  coordinate: string;
  type: GraphQLOutputType;
  holder: Json;
  key: string;
}

interface Parsed {
  name: string;
  operation: OperationDefinitionNode;
  fragments: Map<string, FragmentDefinitionNode>;
}

const documents = new Map<string, Parsed>();

function parsed(text: string): Parsed {
  const known = documents.get(text);
  if (known) return known;
  const document: DocumentNode = parse(text);
  const fragments = new Map<string, FragmentDefinitionNode>();
  let operation: OperationDefinitionNode | undefined;
  for (const definition of document.definitions) {
    if (definition.kind === 'FragmentDefinition') fragments.set(definition.name.value, definition);
    if (definition.kind === 'OperationDefinition') operation = definition;
  }
  if (!operation) throw new Error('There is no operation.');
  const result = { name: operation.name?.value ?? text, operation, fragments };
  documents.set(text, result);
  return result;
}

/** Calls `visit` with each field of a document, and with where its values are in `data`, if that is given. */
function walk(text: string, data: Json | undefined, visit: (site: Omit<Site, 'holder'> & { holder?: Json }) => void) {
  const { operation, fragments } = parsed(text);
  const inside = (set: SelectionSetNode, given: GraphQLNamedType, holder: Json | undefined): void => {
    const named = typeof holder?.['__typename'] === 'string' ? schema.getType(holder['__typename']) : undefined;
    const type = isObjectType(named) ? named : given;
    for (const selection of set.selections) {
      if (selection.kind !== 'Field') {
        const fragment = selection.kind === 'InlineFragment' ? selection : fragments.get(selection.name.value);
        const condition = fragment?.typeCondition ? schema.getType(fragment.typeCondition.name.value) : type;
        const isOther = isObjectType(type) && isObjectType(condition) && type !== condition;
        if (fragment && condition && !isOther) inside(fragment.selectionSet, condition, holder);
        continue;
      }
      if (!isObjectType(type) && !isInterfaceType(type)) continue;
      const field = type.getFields()[selection.name.value];
      const key = selection.alias?.value ?? selection.name.value;
      if (!field || (holder && !(key in holder))) continue;
      visit({ coordinate: `${type.name}.${field.name}`, type: field.type, key, ...(holder && { holder }) });
      const below = getNamedType(field.type);
      if (!selection.selectionSet || !isCompositeType(below)) continue;
      if (!holder) inside(selection.selectionSet, below, undefined);
      else {
        for (const value of [holder[key]].flat(3)) {
          if (typeof value === 'object' && value !== null) inside(selection.selectionSet, below, value as Json);
        }
      }
    }
  };
  const root = { query: 'Query', mutation: 'Mutation', subscription: 'Subscription' }[operation.operation];
  inside(operation.selectionSet, schema.getType(root) as GraphQLNamedType, data);
}

/** The fields that documents select, with their types. */
export function fieldsOf(texts: readonly string[]): Map<string, GraphQLOutputType> {
  const fields = new Map<string, GraphQLOutputType>();
  for (const text of texts) {
    walk(text, undefined, ({ coordinate, type }) => {
      if (!coordinate.endsWith('.__typename')) fields.set(coordinate, type);
    });
  }
  return fields;
}

/** All fields of the schema that return a type, such as `Device.certificate` for `Bytes`. */
export function fieldsOfType(name: string): string[] {
  return Object.values(schema.getTypeMap()).flatMap((type) =>
    isObjectType(type) && !type.name.startsWith('__')
      ? Object.values(type.getFields()).flatMap((field) =>
          getNamedType(field.type).name === name ? `${type.name}.${field.name}` : [],
        )
      : [],
  );
}

/** In which ways a value of a type can be changed. */
export function changesOf(type: GraphQLOutputType): string[] {
  const common = ['null', 'omit', 'other'];
  if (isListType(getNullableType(type))) return [...common, 'repeat', 'remove', 'reverse', 'empty'];
  const named = getNamedType(type);
  if (named.name === 'Bytes') return [...common, 'flip', 'cut', 'garbage'];
  if (named.name === 'Int') return [...common, 'next', 'previous'];
  if (named.name === 'Boolean') return ['null', 'omit', 'negate'];
  if (isEnumType(named)) return ['null', 'omit', 'member', 'garbage'];
  return isObjectType(named) || isInterfaceType(named) || isUnionType(named) ? common : [...common, 'garbage'];
}

/** Uniformly distributed numbers in [0, 1): mulberry32. */
export function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What a proxy changes at the moment. */
export interface Plan {
  /** A field such as `Device.certificate`, or an operation such as `E2eeGroup`, and the way in which it is changed. */
  targets: { coordinate: string; change: string }[];
  /** How often a value is changed, from 0 to 1. */
  probability: number;
}

/** How whole answers are changed: an older answer to the same operation, and the answer to another request of it. */
export const changesOfAnswers = ['older', 'swapped'];
/** How events of a stream are changed. */
export const changesOfEvents = ['twice', 'late', 'dropped'];

const KEPT_MAX = 40;

const keep = <T>(pool: Map<string, T[]>, name: string, value: T) => {
  const values = pool.get(name) ?? [];
  values.push(value);
  if (values.length > KEPT_MAX) values.shift();
  pool.set(name, values);
};

/** Changes answers of nodes according to a plan. */
export function createTamperer(random: () => number) {
  let plan: Plan | undefined;
  /** Values of each field that nodes have returned, as JSON. */
  const values = new Map<string, string[]>();
  const answers = new Map<string, { request: string; data: Json }[]>();
  /** The fields that nodes have returned. */
  const seen = new Set<string>();
  /** How often each target was changed. */
  const counts = new Map<string, number>();
  const requests: { name: string; variables: Json }[] = [];
  const late = new Map<WebSocket, string[]>();

  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const count = (coordinate: string, change: string) => {
    const name = `${coordinate} ${change}`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  const isDue = () => plan !== undefined && random() < plan.probability;

  function changed(site: Site, change: string): boolean {
    const { holder, key, type, coordinate } = site;
    const value = holder[key];
    const set = (next: unknown) => {
      if (JSON.stringify(next) === JSON.stringify(value)) return false;
      holder[key] = next;
      return true;
    };
    const list = Array.isArray(value) ? (value as unknown[]) : [];
    const at = Math.floor(random() * list.length);
    switch (change) {
      case 'null':
        return set(null);
      case 'omit':
        delete holder[key];
        return true;
      case 'other': {
        const current = JSON.stringify(value);
        const others = (values.get(coordinate) ?? []).filter((each) => each !== current);
        return others.length > 0 && set(JSON.parse(pick(others) as string));
      }
      case 'repeat':
        return list.length > 0 && set([...list.slice(0, at + 1), structuredClone(list[at]), ...list.slice(at + 1)]);
      case 'remove':
        return list.length > 0 && set(list.filter((_, index) => index !== at));
      case 'reverse':
        return set([...list].reverse());
      case 'empty':
        return list.length > 0 && set([]);
      case 'negate':
        return set(!value);
      case 'next':
        return typeof value === 'number' && set(value + 1);
      case 'previous':
        return typeof value === 'number' && set(value - 1);
      case 'cut':
        return typeof value === 'string' && set(value.slice(0, Math.floor((random() * value.length) / 4) * 4));
      case 'flip': {
        if (typeof value !== 'string' || value.length === 0) return false;
        const bytes = Buffer.from(value, 'base64url');
        const index = Math.floor(random() * bytes.length);
        bytes[index] = (bytes[index] as number) ^ (1 << Math.floor(random() * 8));
        return set(bytes.toString('base64url'));
      }
      case 'member': {
        const named = getNamedType(type);
        return isEnumType(named) && set(pick(named.getValues().filter(({ name }) => name !== value))?.name ?? null);
      }
      case 'garbage':
        return set('!?');
      default:
        throw new Error(`The change ${change} is unknown.`);
    }
  }

  /** Notes the values of an answer, and changes some. */
  function answer(text: string, variables: Json, original: Json): Json {
    const { name } = parsed(text);
    let data = structuredClone(original);
    const request = JSON.stringify(variables);
    const known = answers.get(name) ?? [];
    for (const { coordinate, change } of plan?.targets ?? []) {
      if (coordinate !== name || !isDue()) continue;
      const candidates = known.filter((each) => (each.request === request) === (change === 'older'));
      const other = pick(candidates);
      if (!other) continue;
      data = structuredClone(other.data);
      count(coordinate, change);
    }
    keep(answers, name, { request, data: original });
    const wanted = new Map(plan?.targets.map(({ coordinate, change }) => [coordinate, change]));
    const sites: { site: Site; change: string }[] = [];
    walk(text, original, ({ coordinate, holder, key }) => {
      seen.add(coordinate);
      const value = JSON.stringify(holder?.[key] ?? null);
      if (value !== 'null' && !values.get(coordinate)?.includes(value)) keep(values, coordinate, value);
    });
    walk(text, data, (site) => {
      const change = wanted.get(site.coordinate);
      if (change !== undefined && isDue()) sites.push({ site: site as Site, change });
    });
    for (const { site, change } of sites) if (changed(site, change)) count(site.coordinate, change);
    return data;
  }

  return {
    counts,
    seen,
    /** The operations that devices have sent, in their order. */
    requests,
    answer,
    note(text: string, variables: Json): void {
      requests.push({ name: parsed(text).name, variables });
    },
    /** From now on, answers are changed according to a plan, or not at all. */
    follow(next: Plan | undefined): void {
      plan = next;
    },
    /** Which events a socket receives in place of one. */
    events(socket: WebSocket, name: string, event: string): string[] {
      const waiting = late.get(socket) ?? [];
      late.delete(socket);
      for (const { coordinate, change } of plan?.targets ?? []) {
        if (coordinate !== name || !changesOfEvents.includes(change) || !isDue()) continue;
        count(coordinate, change);
        if (change === 'twice') return [event, event, ...waiting];
        if (change === 'late') {
          late.set(socket, [event, ...waiting]);
          return [];
        }
        return waiting;
      }
      return [event, ...waiting];
    },
  };
}

export type Tamperer = ReturnType<typeof createTamperer>;

interface GraphQLBody {
  query?: string;
  variables?: Json;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

/** Starts a proxy in front of a node, which relays HTTP and WebSockets. It is closed at the end of the current test. */
export async function startTamperingProxy(target: string, tamperer: Tamperer): Promise<string> {
  const { pathname, origin } = new URL(target);
  const server = createServer(async (incoming, outgoing) => {
    try {
      const text = await bodyOf(incoming);
      const { authorization } = incoming.headers;
      const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) };
      const response = await fetch(new URL(incoming.url ?? '', origin), { method: 'POST', headers, body: text });
      const { query, variables = {} } = JSON.parse(text) as GraphQLBody;
      const result = (await response.json()) as { data?: Json | null };
      if (query) tamperer.note(query, variables);
      if (query && result.data) result.data = tamperer.answer(query, variables, result.data);
      outgoing.writeHead(response.status, { 'content-type': 'application/json' }).end(JSON.stringify(result));
    } catch {
      outgoing.destroy();
    }
  });
  const sockets = new WebSocketServer({ server, handleProtocols: () => 'graphql-transport-ws' });
  sockets.on('connection', (near) => {
    const far = new WebSocket(target.replace(/^http/, 'ws'), 'graphql-transport-ws');
    const opened = new Promise<void>((resolve) => far.once('open', () => resolve()));
    const operations = new Map<string, GraphQLBody>();
    const read = (data: RawData) => JSON.parse(data.toString()) as { id?: string; type: string; payload?: Json };
    near.on('message', async (data) => {
      const { id, type, payload } = read(data);
      if (type === 'subscribe' && id !== undefined) {
        operations.set(id, payload as GraphQLBody);
        const { query, variables = {} } = payload as GraphQLBody;
        if (query) tamperer.note(query, variables);
      }
      await opened;
      far.send(data.toString());
    });
    far.on('message', (data) => {
      const message = read(data);
      const { query, variables = {} } = operations.get(message.id ?? '') ?? {};
      const result = message.payload as { data?: Json | null } | undefined;
      if (message.type !== 'next' || !query || !result?.data) return near.send(data.toString());
      result.data = tamperer.answer(query, variables, result.data);
      const isStream = parsed(query).operation.operation === 'subscription';
      const text = JSON.stringify(message);
      for (const each of isStream ? tamperer.events(near, parsed(query).name, text) : [text]) near.send(each);
    });
    const end = (code: number) => (code >= 3_000 || code === 1_000 ? code : 1_000);
    near.on('close', () => far.close());
    far.on('close', (code) => near.close(end(code)));
    for (const each of [near, far]) each.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  atEnd(async () => {
    for (const socket of sockets.clients) socket.terminate();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as { port: number }).port}${pathname}`;
}
