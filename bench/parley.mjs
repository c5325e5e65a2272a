import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocket } from 'ws';
import { FRAME_BYTES, graphqlSteps, stampedText } from './event.mjs';
import { startServer } from './process.mjs';
import { openSender } from './sender.mjs';

const ownBuild = fileURLToPath(new URL('..', import.meta.url));

/** The number of subscribing users, among whom the sockets are divided. */
const PEOPLE = 50;
/** The number of users who send in one room, each with a socket of their own. */
const SENDERS = 8;

/** A rate that is never reached. */
const unreached = '999999999/1s';
/**
 * A few users generate the load of thousands, so limits are off. With BENCH_RATES=on, all limits are counted but never
 * reached.
 */
const rates =
  process.env.BENCH_RATES === 'on'
    ? {
        RATE_SIGN_IN_PER_ADDRESS: unreached,
        RATE_SIGN_IN_PER_ACCOUNT: unreached,
        RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: unreached,
        RATE_REGISTRATION_PER_ADDRESS: unreached,
        RATE_REFRESH_PER_ADDRESS: unreached,
        RATE_REFRESH_PER_SESSION: unreached,
        RATE_SEND_PER_PERSON: unreached,
        RATE_MUTATION_PER_PERSON: unreached,
        RATE_SEARCH_PER_PERSON: unreached,
        TIME_PER_PERSON_PERCENT: '100',
        SOCKETS_PER_PERSON_MAX: '1000000',
        SOCKETS_PER_ADDRESS_MAX: '1000000',
        STREAMS_PER_PERSON_MAX: '1000000',
      }
    : { RATE_LIMITS: 'off' };

/**
 * Starts a node of Parley at a place, with default settings except those given here and in `env`. `build` is the directory
 * of another build.
 */
export const startNode = (place, env = {}, build = ownBuild) =>
  startServer(join(build, 'dist', 'main.js'), {
    env: {
      PORT: '0',
      JWT_SECRET: 'of the benchmarks, '.repeat(3),
      // Password hashing is not measured.
      BCRYPT_COST: '4',
      // A run can exceed the default lifetime of a token.
      ACCESS_TOKEN_TTL: '12h',
      DRAIN_TIME: '50ms',
      ...rates,
      ...place.env,
      ...env,
    },
    ready: ({ line }) => /"url":"([^"]+)"/.exec(line ?? '')?.[1],
  });

/** Sends a GraphQL request over HTTP and returns its data. Throws if the response contains errors. */
export async function ask(url, query, variables = {}, token) {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    body: JSON.stringify({ query, variables }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

export async function register(url, username) {
  const input = { username, email: `${username}@example.com`, password: 'long enough' };
  const data = await ask(
    url,
    'mutation ($input: RegisterInput!) { register(input: $input) { tokens { accessToken } viewer { user { id } } } }',
    { input },
  );
  return { id: data.register.viewer.user.id, token: data.register.tokens.accessToken };
}

/** The maximum number of users added by one call: the default of GROUP_ADD_MAX. */
const ADDED_AT_ONCE = 100;

/** Creates a group of users; the first one is its owner. */
export async function makeGroup(url, people, title) {
  const [owner, ...others] = people;
  const data = await ask(
    url,
    'mutation ($input: CreateGroupInput!) { createGroup(input: $input) { conversation { id } } }',
    { input: { title, memberIds: others.slice(0, ADDED_AT_ONCE).map(({ id }) => id) } },
    owner.token,
  );
  const { id: conversationId } = data.createGroup.conversation;
  for (let from = ADDED_AT_ONCE; from < others.length; from += ADDED_AT_ONCE) {
    const userIds = others.slice(from, from + ADDED_AT_ONCE).map(({ id }) => id);
    await ask(
      url,
      'mutation ($input: AddMembersInput!) { addMembers(input: $input) { skippedUserIds } }',
      { input: { conversationId, userIds } },
      owner.token,
    );
  }
  return { id: conversationId, people };
}

/** Creates missing rooms with five of the users each, and returns the names of all rooms. */
export async function makeRooms({ people, rooms }, url, kind, count) {
  const names = Array.from({ length: count }, (_, number) => `${kind} ${number}`);
  for (const [number, name] of names.entries()) {
    const members = [0, 1, 2, 3, 4].map((step) => people[(number + step * 7) % people.length]);
    rooms[name] ??= await makeGroup(url, members, name);
  }
  return names;
}

/** Creates a direct conversation. */
export async function makePair(url, [one, other]) {
  const data = await ask(
    url,
    'mutation ($userId: ID!) { openDirectConversation(input: { userId: $userId }) { conversation { id } } }',
    { userId: other.id },
    one.token,
  );
  return { id: data.openDirectConversation.conversation.id, people: [one, other] };
}

/** Users and groups that exist for the whole run. Parley is restarted for every measurement, on the same database. */
export async function makeWorld(place) {
  const node = await startNode(place);
  const url = node.place;
  const people = [];
  for (let number = 0; number < PEOPLE; number += 1) people.push(await register(url, `person${number}`));
  const rooms = {
    /** The group with subscribers. */
    full: await makeGroup(url, people, 'Everyone listens'),
    /** The same users without subscribers. */
    empty: await makeGroup(url, people, 'Nobody listens'),
  };
  const world = { place, people, rooms, ...(await measureFrame(url, people, rooms.empty.id)) };
  await node.stop();
  return world;
}

/** Determines the structure of Parley's events, and the length of a text for which a frame has FRAME_BYTES bytes. */
async function measureFrame(url, people, conversationId) {
  const socket = new WebSocket(url.replace('http', 'ws'), 'graphql-transport-ws');
  await once(socket, 'open');
  const next = async () => String((await once(socket, 'message'))[0]);
  const [init, , subscribe] = graphqlSteps({ token: people[0].token, conversationId, last: [] });
  socket.send(init.send);
  await next();
  socket.send(subscribe.send);
  await next();
  const sender = await openSender(url, people[1].token);
  const textLength = 40;
  const frame = next();
  await sender.send(conversationId, stampedText(textLength));
  const text = await frame;
  sender.close();
  socket.terminate();
  return {
    template: JSON.parse(text).payload.data.messages,
    textLength: textLength + FRAME_BYTES - Buffer.byteLength(text),
  };
}

/**
 * Starts Parley as the subject of a measurement. `build` is the directory of another build.
 * `plans(room, count)` are subscribers of a room (with the additional fields `fields`, or with another `query`),
 * `send(room)` sends a message and resolves when it is accepted, `settle()` resolves when all work is done, and
 * `server` is the process.
 */
export async function startParley(world, build) {
  const server = await startNode(world.place, {}, build);
  const url = server.place;
  const sockets = new Map();
  const socketOf = (person) => {
    if (!sockets.has(person)) sockets.set(person, openSender(url, person.token));
    return sockets.get(person);
  };
  let turn = 0;
  /** The next sender of a room, in rotation. */
  const next = (room) => {
    turn += 1;
    const { id, people } = world.rooms[room];
    return { id, person: people[turn % Math.min(SENDERS, people.length)] };
  };
  return {
    name: 'Parley',
    server,
    url,
    next,
    plans: (room, count, fields, query) => plansOf(url, world.rooms[room], count, { fields, query }),
    async send(room) {
      const { id, person } = next(room);
      return (await socketOf(person)).send(id, stampedText(world.textLength));
    },
    settle: async () => {},
    async stop() {
      for (const socket of sockets.values()) (await socket).close();
      await server.stop();
    },
  };
}

/** This number of sockets, divided among the users of a room; each subscribes and waits for CAUGHT_UP. */
function plansOf(url, { id, people }, count, asked) {
  const share = (index) =>
    Math.floor(((index + 1) * count) / people.length) - Math.floor((index * count) / people.length);
  return people
    .map(({ token }, index) => ({
      port: new URL(url).port,
      path: '/graphql',
      protocol: 'graphql-transport-ws',
      steps: graphqlSteps({ token, conversationId: id, ...asked, last: [{ await: 'CAUGHT_UP' }] }),
      count: share(index),
    }))
    .filter((plan) => plan.count > 0);
}
