import { parse, validate } from 'graphql';
import { beforeAll, describe, expect, it } from 'vitest';
import { schema } from '../../src/app/schema.js';
import { errorCodes } from '../../src/core/errors.js';
import { createRandom } from '../../src/seed/random.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Answer, connectInTest, type Json, type Person, register, request } from '../support/client.js';
import { type Operation, type OperationKind, randomOperation, type Stock } from '../support/generate.js';
import { footings, makePlace } from '../support/place.js';
import { createGroup, openDirect, send } from '../support/talk.js';

/** How many operations, on each footing, each time with another seed. FUZZ_ROUNDS=20000 for a long run. */
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 1_000);
/** What a failed run was seeded with: FUZZ_SEED brings it again. */
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

/** What an error may be that is none of the server's. */
const expected: string[] = errorCodes.filter((code) => code !== 'INTERNAL_SERVER_ERROR');

/** Ends the session of who asks, or takes them away: afterwards somebody else asks. */
const ENDS_SESSION = /\b(logout|deleteAccount|changePassword|resetPassword|refreshSession|login|register)\b/;

describe.each(footings)('random valid operations on the %s footing', (footing) => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await (await makePlace(footing)).start({ SWEEP_INTERVAL: '1h' });
  });
  const random = createRandom(SEED);

  /** Somebody with conversations to ask about, and what can be asked with. */
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

  /** Every error is one that clients know. */
  function check(operation: Operation, { errors }: Pick<Answer, 'errors'>): void {
    for (const error of errors ?? []) expect(expected, explain(operation, errors)).toContain(error.extensions?.code);
  }

  it('are valid, and answered without a mistake of the server’s', { timeout: 300_000 }, async () => {
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
    // Else it would not have come far into what it is to try.
    expect(outcomes.data).toBeGreaterThan(ROUNDS / 5);
    expect(outcomes.errors).toBeGreaterThan(ROUNDS / 20);
  });

  it('subscribe without one, and go on', { timeout: 300_000 }, async () => {
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
        // Of typing nothing comes by itself, nor of the presence of nobody.
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
