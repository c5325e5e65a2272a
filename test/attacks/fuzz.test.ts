import { parse, validate } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { errorCodes } from '../../src/core/errors.js';
import { createRandom } from '../../src/seed/random.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Answer, connectInTest, type Json, type Person, register, request } from '../support/client.js';
import { type Operation, type OperationKind, randomOperation, type Stock } from '../support/generate.js';
import { makePlace, modes } from '../support/place.js';
import { createGroup, openDirect, send } from '../support/talk.js';

/** The number of operations in each mode, with another seed each time. Use FUZZ_ROUNDS=20000 for a long run. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 500);
/** The seed. FUZZ_SEED repeats a failed run. */
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);

const TEXTS = [
  '',
  ' ',
  'a',
  'Ana',
  'hello @everyone',
  'x'.repeat(300),
  '😀👩‍👩‍👧‍👦🇩🇪',
  'שלום\u202Eabc',
  '日本語のメッセージ',
  "'; DROP TABLE users; --",
  '%_\\',
  '"a phrase" from:ana -not in:x before:2026-01-01',
  'https://example.com/a.png',
  'null',
  '-1',
  '\u0000',
  '\ud800',
];

/** The codes of errors that are not the server's fault. */
const expected: string[] = errorCodes.filter((code) => code !== 'INTERNAL_SERVER_ERROR');

/** Mutations that end the session or delete the account of the caller: another user continues afterwards. */
const ENDS_SESSION = /\b(logout|deleteAccount|changePassword|resetPassword|refreshSession|login|register)\b/;

describe.each(modes)('random valid operations in %s mode', (mode) => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start({ SWEEP_INTERVAL: '1h' });
  });
  const random = createRandom(SEED);

  /** A user with conversations, and the ids for arguments. */
  async function makePerson(): Promise<{ person: Person; stock: Stock }> {
    const [person, friend] = await Promise.all([register(node.url, 'fuzz'), register(node.url, 'friend')]);
    const [direct, group] = [await openDirect(person, friend), await createGroup(person, [friend])];
    const [own, other] = [await send(person, group, `for @${friend.username}`), await send(friend, direct, 'hello')];
    const { viewer } = await person.ask(
      '{ viewer { id syncCursor sessions { id } conversations { nodes { id viewerMembership { id } } pageInfo { endCursor } } } }',
    );
    return {
      person,
      stock: {
        ids: [person.id, friend.id, direct, group, own.id, other.id, viewer.id, viewer.sessions[0].id].concat(
          viewer.conversations.nodes.map(({ viewerMembership }: Json) => viewerMembership.id),
        ),
        texts: [...TEXTS, person.username, friend.email, viewer.syncCursor, viewer.conversations.pageInfo.endCursor],
      },
    };
  }

  const explain = ({ query, variables }: Operation, answer: unknown) =>
    `FUZZ_SEED=${SEED}\n${query}\n${JSON.stringify(variables)}\n${JSON.stringify(answer)}`;

  /** Expects that every error has a documented code. */
  function check(operation: Operation, { errors }: Pick<Answer, 'errors'>): void {
    for (const error of errors ?? []) expect(expected, explain(operation, errors)).toContain(error.extensions?.code);
  }

  it('are valid, and cause no internal errors', { timeout: 300_000 }, async () => {
    let { person, stock } = await makePerson();
    const outcomes = { data: 0, errors: 0 };
    for (let round = 0; round < ROUNDS; round += 1) {
      const kind: OperationKind = random.next() < 0.5 ? 'query' : 'mutation';
      const operation = randomOperation(kind, random, stock);
      expect(validate(schema, parse(operation.query)), operation.query).toEqual([]);
      const answer = await request(node.url, operation.query, operation.variables, person.token);
      check(operation, answer);
      if (Object.values(answer.data ?? {}).some((value) => value !== null)) outcomes.data += 1;
      if (answer.errors) outcomes.errors += 1;
      if (
        ENDS_SESSION.test(operation.query) ||
        answer.errors?.some((error) => error.extensions.code === 'UNAUTHENTICATED')
      ) {
        ({ person, stock } = await makePerson());
      }
    }
    // Otherwise, most operations would have failed early.
    expect(outcomes.data).toBeGreaterThan(ROUNDS / 5);
    expect(outcomes.errors).toBeGreaterThan(ROUNDS / 20);
  });

  it('open subscriptions without internal errors, which remain open', { timeout: 300_000 }, async () => {
    const { person, stock } = await makePerson();
    const client = connectInTest(node.url, person.token);
    for (let round = 0; round < ROUNDS / 15; round += 1) {
      const operation = randomOperation('subscription', random, stock);
      const first = await new Promise<Pick<Answer, 'errors'>>((resolve) => {
        const stop = client.subscribe<Json>(operation, {
          next: (result) => {
            resolve(result as Pick<Answer, 'errors'>);
            stop();
          },
          error: (errors) => resolve({ errors: errors as NonNullable<Answer['errors']> }),
          complete: () => resolve({}),
        });
        // Without activity, `typing` and `presence` of no users deliver nothing.
        const ofNobody = Object.values(operation.variables).some((value) => Array.isArray(value) && value.length === 0);
        if (/^subscription[^{]*\{ typing/.test(operation.query) || ofNobody) {
          setTimeout(() => {
            resolve({});
            stop();
          }, 20);
        }
      });
      check(operation, first);
    }
    expect((await person.ask('{ viewer { user { id } } }')).viewer.user.id).toBe(person.id);
  });
});
