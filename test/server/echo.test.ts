import { once } from 'node:events';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { RunningNode } from '../../src/server/start.js';
import { eventually, type Json, type Person, register, socketUrl } from '../support/client.js';
import { detailModes, makePlace } from '../support/place.js';

/** Text of a length that fits three times into a frame. */
const long = 'x'.repeat(80_000);
/** The maximum length of a response to invalid text, in characters. */
const RESPONSE_MAX = 5_000;

/** Operations with a long text in one place. */
const operations: [what: string, payload: Json][] = [
  ['a field that does not exist', { query: `{ ${long} }` }],
  ['an unknown argument', { query: `{ viewer(${long}: 1) { id } }` }],
  ['an unknown type', { query: `{ ... on ${long} { id } }` }],
  ['an unknown fragment', { query: `{ ...${long} }` }],
  ['an unknown directive', { query: `{ __typename @${long} }` }],
  ['a fragment in a cycle', { query: `{ ...${long} } fragment ${long} on Query { ...${long} }` }],
  ['an unknown variable', { query: `{ node(id: $${long}) { id } }` }],
  ['an unused variable', { query: `query ($${long}: ID) { __typename }` }],
  ['an alias', { query: `{ ${long}: __typename }` }],
  ['an alias in a fragment', { query: `{ ...F } fragment F on Query { ${long}: __typename }` }],
  ['an alias of a failing field', { query: `{ ${long}: node(id: "1") { id } }` }],
  ['a syntax error', { query: `{ __typename ! ${long} }` }],
  ['the name of an operation', { query: `query ${long} { __typename }`, operationName: `a${long}` }],
  ['a value of the wrong type', { query: `{ nodes(ids: ["${long}"]) { id } }` }],
  ['an enum value', { query: `mutation { setAvailability(input: { availability: ${long} }) { viewer { id } } }` }],
  [
    'an enum value in a variable',
    {
      query: 'mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) { viewer { availability } } }',
      variables: { input: { availability: long } },
    },
  ],
  [
    'an unknown field in a variable',
    {
      query: 'mutation ($input: SetAvailabilityInput!) { setAvailability(input: $input) { viewer { availability } } }',
      variables: { input: { availability: 'ONLINE', [long]: 1 } },
    },
  ],
  ['an id in a variable', { query: 'query ($id: ID!) { node(id: $id) { id } }', variables: { id: long } }],
  ['the hash of a document', { query: '', documentId: long }],
  [
    'a search',
    { query: 'query ($q: String!) { searchMessages(query: $q) { edges { snippet } } }', variables: { q: long } },
  ],
];

describe.each(detailModes)("a client's text in responses in %s mode", (mode) => {
  let node: RunningNode;
  let person: Person;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start();
    person = await register(node.url);
  });

  async function open() {
    const socket = new WebSocket(socketUrl(node.url), 'graphql-transport-ws');
    onTestFinished(() => socket.terminate());
    const messages: string[] = [];
    socket.on('message', (data) => void messages.push(String(data)));
    await once(socket, 'open');
    socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: person.token } }));
    await eventually('the connection is acknowledged', () => messages.length > 0);
    messages.length = 0;
    return { socket, messages };
  }

  it.each(operations)('is limited over HTTP and WebSocket: %s', async (_what, payload) => {
    const response = await fetch(node.url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${person.token}` },
      body: JSON.stringify(payload),
    });
    expect((await response.text()).length).toBeLessThan(RESPONSE_MAX);
    const { socket, messages } = await open();
    socket.send(JSON.stringify({ type: 'subscribe', id: '1', payload }));
    await eventually('the response arrives', () => messages.some((text) => /"type":"(error|complete)"/.test(text)));
    expect(messages.join('').length).toBeLessThan(RESPONSE_MAX);
    expect(socket.readyState).toBe(socket.OPEN);
  });

  it.each(['subscribe', 'complete'])('is limited: a long id of %s closes the WebSocket with 4400', async (type) => {
    const { socket, messages } = await open();
    const closed = once(socket, 'close');
    // The limit is in bytes, and these characters have several.
    socket.send(JSON.stringify({ type, id: 'ä'.repeat(65), payload: { query: '{ __typename }' } }));
    const [code, reason] = await closed;
    expect([code, String(reason)]).toEqual([4400, 'The id of an operation can have at most 128 bytes.']);
    expect(messages).toEqual([]);
  });

  it('is limited: the payload of a ping', async () => {
    const { socket, messages } = await open();
    const payload = { text: 'y'.repeat(1_000) };
    socket.send(JSON.stringify({ type: 'ping', payload }));
    socket.send(JSON.stringify({ type: 'ping', payload: { text: long } }));
    await eventually('both responses arrive', () => messages.length === 2);
    expect(messages.map((text) => JSON.parse(text))).toEqual([{ type: 'pong', payload }, { type: 'pong' }]);
  });
});
