import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { createClient as createUrql, fetchExchange, mapExchange } from '@urql/core';
import { firstValueFrom } from 'rxjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningNode } from '../../src/server/start.js';
import { Me, Messages } from '../clients/operations.js';
import { connectInTest, type Json, type Person, register, request } from '../support/client.js';
import { anyMode, makePlace, sharedNode } from '../support/place.js';

const FILE = 'test/generated/persisted-documents.json';
const REGISTER_NAME = 'mutation Register(';

describe('persisted documents', () => {
  let any: RunningNode;
  let only: RunningNode;
  let person: Person;
  let listed: Record<string, string>;
  let folder: string;
  const hashOf = (document: object) => (document as { __meta__: { hash: string } }).__meta__.hash;

  beforeAll(async () => {
    listed = JSON.parse(await readFile(FILE, 'utf8'));
    folder = await mkdtemp(join(tmpdir(), 'parley_persisted_'));
    // The list also contains the operations of the test helpers.
    const path = join(folder, 'documents.json');
    await writeFile(path, JSON.stringify({ ...listed, typename: '{ __typename }', wrong: '{ nothing }' }));
    const [anyPlace, onlyPlace] = [await makePlace(anyMode), await makePlace(anyMode)];
    any = await anyPlace.start({ PERSISTED_DOCUMENTS: path });
    only = await onlyPlace.start({ PERSISTED_DOCUMENTS: path, PERSISTED_DOCUMENTS_ONLY: 'on' });
    person = await register(any.url);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const post = async (url: string, body: Json, token?: string) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      body: JSON.stringify(body),
    });
    return (await response.json()) as Json;
  };
  const get = async (url: string, parameters: Record<string, string>) => {
    const headers = { 'graphql-require-preflight': '1' };
    return (await (await fetch(`${url}?${new URLSearchParams(parameters)}`, { headers })).json()) as Json;
  };
  const overSocket = async (url: string, payload: Json, token?: string): Promise<Json> => {
    try {
      for await (const result of connectInTest(url, token).iterate(payload)) return result;
    } catch (errors) {
      return { errors };
    }
    throw new Error('nothing was answered');
  };
  const apollo = (hash: string) => ({ extensions: { persistedQuery: { version: 1 as const, sha256Hash: hash } } });

  it('are requested by id in all common forms, over HTTP and WebSocket', async () => {
    const hash = hashOf(Me);
    expect(hash).toMatch(/^sha256:[0-9a-f]{64}$/);
    for (const id of [hash, hash.replace('sha256:', '')]) {
      for (const body of [{ documentId: id }, apollo(id)]) {
        const { data } = await post(any.url, body, person.token);
        expect(data.viewer.user.id).toBe(person.id);
        // graphql-ws requires a query, which can be empty.
        const answer = await overSocket(any.url, { query: '', ...body }, person.token);
        expect(answer.data.viewer.user.id).toBe(person.id);
      }
    }
    const typename = { data: { __typename: 'Query' } };
    expect(await get(any.url, { documentId: 'typename' })).toEqual(typename);
    expect(await get(any.url, { extensions: JSON.stringify(apollo('typename').extensions) })).toEqual(typename);
  });

  it('are rejected with the error that Apollo Client expects if they are unknown, so that it sends the text', async () => {
    const refused = { message: 'PersistedQueryNotFound', extensions: { code: 'BAD_USER_INPUT', field: 'documentId' } };
    expect((await post(any.url, apollo('unknown'))).errors).toMatchObject([refused]);
    expect((await post(any.url, { documentId: 'unknown' })).errors).toMatchObject([refused]);
    expect((await overSocket(any.url, { query: '', documentId: 'unknown' })).errors).toMatchObject([refused]);
    expect((await post(any.url, { ...apollo('unknown'), query: '{ __typename }' })).data).toBeTruthy();
    // Names of properties that every object has are not in the list.
    expect((await post(any.url, { documentId: 'constructor' })).errors).toMatchObject([refused]);
    const plain = await sharedNode(anyMode);
    expect((await post(plain.url, apollo('x'))).errors).toMatchObject([{ message: 'PersistedQueryNotSupported' }]);
    expect((await request(plain.url, '{ serverInfo { features } }')).data.serverInfo.features).not.toContain(
      'persistedDocuments',
    );
  });

  it('can be required', async () => {
    const features = '{ serverInfo { features } }';
    const forbidden = [{ extensions: { code: 'FORBIDDEN' } }];
    expect((await post(only.url, { query: features })).errors).toMatchObject(forbidden);
    expect((await get(only.url, { query: features })).errors).toMatchObject(forbidden);
    expect((await overSocket(only.url, { query: features })).errors).toMatchObject(forbidden);
    expect((await post(only.url, { query: features, ...apollo('unknown') })).errors).toMatchObject(forbidden);
    expect((await post(only.url, { documentId: 'unknown' })).errors?.[0].message).toBe('PersistedQueryNotFound');
    // The text of a persisted document is accepted.
    const [, text] = Object.entries(listed).find(([, each]) => each.startsWith(REGISTER_NAME)) ?? [];
    const input = { username: 'listed', email: 'listed@example.com', password: 'long enough' };
    expect((await post(only.url, { query: text, variables: { input } })).data.register.viewer).toBeTruthy();
    expect((await request(any.url, features)).data.serverInfo.features).toContain('persistedDocuments');
    // A document of another server version that is invalid for this schema is rejected when it is requested.
    expect((await post(only.url, { documentId: 'wrong' })).errors?.[0].message).toContain('Cannot query field');
  });

  it('can be requested by Apollo Client, over HTTP and WebSocket', async () => {
    const token = await signUp();
    const headers = { authorization: `Bearer ${token}` };
    const client = new ApolloClient({
      cache: new InMemoryCache(),
      link: ApolloLink.from([
        new PersistedQueryLink({ generateHash: hashOf }),
        ApolloLink.split(
          ({ operationType }) => operationType === 'subscription',
          new GraphQLWsLink(connectInTest(only.url, token)),
          new HttpLink({ uri: only.url, headers }),
        ),
      ]),
    });
    const { data } = await client.query({ query: Me });
    expect(data?.viewer?.user.id).toBeTruthy();
    const event = await firstValueFrom(client.subscribe({ query: Messages }));
    expect(event.data?.messages.type).toBe('CAUGHT_UP');
    client.stop();
  });

  it('can be requested by urql', async () => {
    const headers = { authorization: `Bearer ${await signUp()}` };
    const client = createUrql({
      url: only.url,
      exchanges: [
        mapExchange({
          onOperation: (operation) => ({ ...operation, ...apollo(hashOf(operation.query)) }),
        }),
        fetchExchange,
      ],
      fetchOptions: { headers },
      preferGetMethod: false,
    });
    const { data, error } = await client.query(Me, {}).toPromise();
    expect(error).toBeUndefined();
    expect(data?.viewer?.user.id).toBeTruthy();
  });

  it('prevent the start if they cannot be read', async () => {
    const place = await makePlace(anyMode);
    for (const contents of ['[]', '{"a": 1}', 'nonsense']) {
      const path = join(folder, 'broken.json');
      await writeFile(path, contents);
      await expect(place.start({ PERSISTED_DOCUMENTS: path })).rejects.toThrow(/^PERSISTED_DOCUMENTS: .*broken.json/);
    }
    await expect(place.start({ PERSISTED_DOCUMENTS: join(folder, 'absent.json') })).rejects.toThrow(/absent.json/);
    await expect(place.start({ PERSISTED_DOCUMENTS_ONLY: 'on' })).rejects.toThrow(/^PERSISTED_DOCUMENTS: /);
  });

  let people = 0;
  /** Registers a user at the node that requires persisted documents. */
  async function signUp(): Promise<string> {
    people += 1;
    const [id] = Object.entries(listed).find(([, each]) => each.startsWith(REGISTER_NAME)) ?? [];
    const username = `persisted_${people}`;
    const input = { username, email: `${username}@example.com`, password: 'long enough' };
    return (await post(only.url, { documentId: id, variables: { input } })).data.register.tokens.accessToken;
  }
});
