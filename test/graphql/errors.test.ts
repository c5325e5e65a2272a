import { type GraphQLScalarType, parseValue as parseLiteralText } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { presentError } from '../../src/graphql/errors.js';
import type { Logger } from '../../src/infra/telemetry/log.js';
import { withRequest } from '../../src/infra/telemetry/request.js';
import type { RunningNode } from '../../src/server/start.js';
import { connectInTest, type Json, type Person, register } from '../support/client.js';
import { anyMode, sharedNode } from '../support/place.js';

type Errors = { message: string; locations?: { line: number; column: number }[]; extensions: Json }[];
interface Asked {
  query: string;
  variables?: Json;
  operationName?: string;
}

const SEND = 'mutation ($i: SendMessageInput!) { sendMessage(input: $i) { message { id } } }';
const input = (more: object) => ({ i: { conversationId: 'x', text: 'y', ...more } });
const AUDIT = 'query ($since: DateTime) { auditLog(filter: { since: $since }) { nodes { id } } }';
const at = (column: number) => [{ line: 1, column }];

const instants = [
  '2024-02-29T00:00:00Z',
  '2026-01-01T00:00:00+01:00',
  '2026-11-28t15:30:00.123456z',
  '9999-12-31T23:59:59.999Z',
];
const noInstants = [
  '',
  '1',
  'today',
  'Nov 28 2026',
  '2026-11-28',
  '2026-02-30T00:00:00Z',
  '2026-02-29T00:00:00Z',
  '2026-01-01T00:00:00',
  '2026-01-01T00:00Z',
  '2026-01-01 00:00:00Z',
  '2026-01-01T24:00:00Z',
  '2016-12-31T23:59:60Z',
  '2026-01-01T00:00:00|01:00',
  '2026-01-01T00:00:00+0100',
  '0000-01-01T00:00:00Z',
  '0001-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '+010000-01-01T00:00:00Z',
];

describe('an error of an invalid operation', () => {
  let node: RunningNode;
  let person: Person;
  beforeAll(async () => {
    node = await sharedNode(anyMode);
    person = await register(node.url);
  });

  const ways: Record<string, (asked: Asked) => Promise<Errors | undefined>> = {
    async HTTP(asked) {
      const answer = await fetch(node.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${person.token}` },
        body: JSON.stringify(asked),
      });
      return ((await answer.json()) as { errors?: Errors }).errors;
    },
    async WebSocket(asked) {
      try {
        for await (const { errors } of connectInTest(node.url, person.token).iterate(asked as never)) {
          return errors as Errors | undefined;
        }
      } catch (errors) {
        return errors as Errors;
      }
      return undefined;
    },
  };

  describe.each(Object.entries(ways))('over %s', (_way, ask) => {
    it.each<[what: string, asked: Asked, message: string, field: string | undefined, column: number]>([
      [
        'a variable of the wrong type',
        { query: SEND, variables: input({ text: 5 }) },
        'Variable "$i" got invalid value 5 at "i.text"; String cannot represent a non string value: 5',
        'input.text',
        11,
      ],
      [
        'a field that is missing',
        { query: SEND, variables: { i: {} } },
        'Field "conversationId"',
        'input.conversationId',
        11,
      ],
      [
        'a field that is not known',
        { query: SEND, variables: input({ nothing: 1 }) },
        'Field "nothing"',
        'input.nothing',
        11,
      ],
      [
        'no variable',
        { query: SEND },
        'Variable "$i" of required type "SendMessageInput!" was not provided.',
        'input',
        11,
      ],
      [
        'an item of a list',
        { query: 'query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', variables: { ids: ['x', {}] } },
        'Variable "$ids" got invalid value {} at "ids[1]"',
        'ids.1',
        8,
      ],
      [
        'a variable inside of an argument',
        {
          query: 'mutation ($t: String) { sendMessage(input: { conversationId: "x", text: $t }) { message { id } } }',
          variables: { t: [] },
        },
        'Variable "$t" got invalid value []',
        'input.text',
        11,
      ],
      [
        'a variable of two arguments, so that the argument is ambiguous',
        {
          query: 'query ($n: Int) { publicConversations(first: $n) { nodes { messages(last: $n) { nodes { id } } } } }',
          variables: { n: 'x' },
        },
        'Variable "$n" got invalid value "x"; Int cannot represent non-integer value: "x"',
        undefined,
        8,
      ],
      [
        'a time that is none',
        { query: AUDIT, variables: { since: 'today' } },
        'Variable "$since" got invalid value "today"',
        'filter.since',
        8,
      ],
      [
        'a time in the document',
        { query: AUDIT.replace('$since }', '"" }').replace('($since: DateTime) ', '') },
        'DateTime cannot represent',
        undefined,
        35,
      ],
    ])('%s has its place', async (_what, asked, message, field, column) => {
      expect(await ask(asked)).toMatchObject([
        {
          message: expect.stringContaining(message),
          locations: at(column),
          extensions: field === undefined ? { code: 'BAD_USER_INPUT' } : { code: 'BAD_USER_INPUT', field },
        },
      ]);
    });

    it('does not repeat a long value in full', async () => {
      const [error] = (await ask({ query: SEND, variables: { i: 'x Did you mean '.repeat(10_000) } })) ?? [];
      expect(error?.extensions.code).toBe('BAD_USER_INPUT');
      expect(error?.message.length).toBeLessThan(1_100);
    });

    it.each([
      ['an unknown operation', { query: 'query A { __typename }', operationName: 'B' }],
      ['none of several operations', { query: 'query A { __typename } query B { __typename }' }],
      ['a document without operations', { query: 'fragment A on Query { __typename }' }],
      [
        'an operation with a name as long as a book',
        { query: 'query A { __typename }', operationName: 'B'.repeat(50_000) },
      ],
    ])('%s is BAD_USER_INPUT', async (_what, asked) => {
      const errors = (await ask(asked)) ?? [];
      expect(errors.length).toBeGreaterThan(0);
      for (const { extensions } of errors) expect(extensions).toEqual({ code: 'BAD_USER_INPUT' });
      expect(JSON.stringify(errors).length).toBeLessThan(1_000);
    });
  });

  it('contains no data for the transport, whichever transport came first', async () => {
    const asked = { query: '{ nothing }' };
    for (const ask of [ways['HTTP'], ways['WebSocket'], ways['HTTP']]) {
      expect((await ask?.(asked))?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT' });
    }
  });
});

describe('DateTime', () => {
  const type = schema.getType('DateTime') as GraphQLScalarType;
  const read = (text: string) => [
    () => type.parseValue(text),
    () => type.parseLiteral(parseLiteralText(JSON.stringify(text)), {}),
  ];

  it.each(instants)('accepts %s', (text) => {
    const instant = new Date(text.toUpperCase());
    for (const parse of read(text)) expect(parse()).toEqual(instant);
    expect(type.serialize(instant)).toBe(instant.toISOString());
  });

  it.each(noInstants)('rejects "%s"', (text) => {
    for (const parse of read(text)) expect(parse).toThrow(/^DateTime cannot represent/);
  });

  it.each([1, 0.5, true, {}, []])('rejects %j, which is not a string', (value) => {
    expect(() => type.parseValue(value)).toThrow(/^DateTime cannot represent/);
  });
});

describe('the log of unexpected errors', () => {
  /** Presents an error for each of these names within one request. @returns the ids that clients and the log receive. */
  function presentAll(names: readonly string[]) {
    const logged: string[] = [];
    const log = { error: ({ errorId }: { errorId: string }) => logged.push(errorId) } as unknown as Logger;
    const answered = withRequest({ id: 'request', address: '127.0.0.1' }, () =>
      names.map((name) => presentError(Object.assign(new Error('a bug'), { name }), log).extensions['errorId']),
    );
    return { logged, answered };
  }

  it('has one line per request and class, however many fields fail', () => {
    const { logged, answered } = presentAll(Array.from({ length: 1_000 }, (_, index) => `Class${index % 2}`));
    expect(logged).toHaveLength(2);
    expect(new Set(answered)).toEqual(new Set(logged));
  });

  it('still has one line for the newest classes when a request has had many', () => {
    const many = Array.from({ length: 100 }, (_, index) => `Class${index}`);
    const { logged, answered } = presentAll([...many, ...Array.from({ length: 1_000 }, () => 'Newest')]);
    expect(logged).toHaveLength(many.length + 1);
    expect(answered.at(-1)).toBe(logged.at(-1));
  });

  it('has a line for each request', () => {
    const [one, other] = [presentAll(['Class']), presentAll(['Class'])];
    expect(one.logged).toHaveLength(1);
    expect(other.logged).toHaveLength(1);
    expect(one.logged).not.toEqual(other.logged);
  });
});
