import { beforeAll, describe, expect, it } from 'vitest';
import { errorCodes } from '../../src/core/errors.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Answer, connectInTest, type Json, type Person, register, request } from '../support/client.js';
import { type Operation, type TextPlace, textPlaces } from '../support/generate.js';
import { detailModes, makePlace } from '../support/place.js';
import { createGroup, openDirect, send } from '../support/talk.js';

/** Texts that would have an effect if they were interpreted. */
const hostile: Record<string, string> = {
  'a quote that ends SQL': "'; DELETE FROM users; --",
  'SQL that is always true': "' OR '1'='1",
  'SQL in a cast': '1::uuid; SELECT pg_sleep(5)',
  'a dollar quote and a parameter': '$$ $1 \\',
  'wildcards of LIKE': '%_%\\',
  'operators of full text search': "a & !b | (c:*) <-> 'd",
  'a NUL': 'a\u0000b',
  'an unpaired surrogate': 'a\ud83d',
  'line breaks of headers and mails': 'a\r\nBcc: victim@example.com\r\n\r\nbody',
  'a template': '$'.concat('{7*7} {{7*7}} <%= 7*7 %> #{7*7}'),
  'a path': '../../../../etc/passwd',
  markup: '<script>alert(1)</script><img src=x onerror=alert(1)>',
  'a prototype': '__proto__',
  'a key of Redis and its glob': '*\r\nFLUSHALL\r\n',
  'a regular expression that never ends': `${'a'.repeat(5_000)}!`,
  'what looks like JSON': '{"$gt":""}',
  'marks that turn and stack': `\u202e\u2066${'e\u0301'.repeat(50)}${'\u0336'.repeat(200)}`,
  'invisible characters': '\u200b\u2060\ufeff',
};

const allowed: string[] = errorCodes.filter((code) => code !== 'INTERNAL_SERVER_ERROR');

describe.each(detailModes)('hostile texts in %s mode', (mode) => {
  let node: RunningNode;
  let witness: Person;
  let friend: Person;
  let group: string;
  let needs: (type: string, path: string) => Json;

  beforeAll(async () => {
    node = await (await makePlace(mode)).start({ SWEEP_INTERVAL: '1h' });
    [witness, friend] = await Promise.all([register(node.url, 'witness'), register(node.url, 'friend')]);
    group = await createGroup(witness, [friend]);
    const [message, direct] = [await send(witness, group, 'still here'), await openDirect(witness, friend)];
    const { viewer } = await witness.ask('{ viewer { syncCursor } }');
    // The other arguments must be valid, or the text would not be processed.
    needs = (type, path) => {
      if (type === 'ID') {
        if (/message|replyTo/i.test(path)) return message.id;
        if (/conversation/i.test(path)) return /typing/i.test(path) ? direct : group;
        return friend.id;
      }
      if (type === 'Int') return 1;
      if (type === 'Boolean') return true;
      if (type === 'DateTime') return '2026-11-27T10:00:00.000Z';
      if (type !== 'String') return enumValues[type] ?? 'ONLINE';
      if (/cursor|after/i.test(path)) return viewer.syncCursor;
      if (/email/i.test(path)) return `somebody_${Math.random()}@example.com`;
      if (/password/i.test(path)) return 'a password of nobody';
      return `a_name_${Math.random().toString(36).slice(2)}`;
    };
  });
  const enumValues: Record<string, string> = { MemberRole: 'MEMBER', ServiceRole: 'USER', Availability: 'ONLINE' };

  /** The response over HTTP. For a subscription, its first event. */
  async function answerTo({ kind }: TextPlace, operation: Operation, person: Person): Promise<Pick<Answer, 'errors'>> {
    if (kind !== 'subscription') return request(node.url, operation.query, operation.variables, person.token);
    const client = connectInTest(node.url, person.token);
    return new Promise((resolve) => {
      const stop = client.subscribe(operation, {
        next: (result) => {
          resolve(result as Pick<Answer, 'errors'>);
          stop();
        },
        error: (errors) => resolve({ errors: errors as NonNullable<Answer['errors']> }),
        complete: () => resolve({}),
      });
    });
  }

  /** Expects that existing data is unchanged. Called after each operation, so that the harmful one is named. */
  async function expectUnharmed(): Promise<void> {
    const { viewer, user, conversation } = await witness.ask(
      `query ($id: ID!, $friend: ID!) {
        viewer { user { id } }
        user(id: $friend) { username deletedAt }
        conversation(id: $id) { title memberCount messages { nodes { text } } }
      }`,
      { id: group, friend: friend.id },
    );
    expect(viewer.user.id).toBe(witness.id);
    expect(user).toEqual({ username: friend.username, deletedAt: null });
    expect(conversation).toMatchObject({ title: 'A group', memberCount: 2 });
    expect(conversation.messages.nodes).toContainEqual({ text: 'still here' });
  }

  const places = textPlaces();
  it('are tested in many arguments', () => {
    expect(places.length).toBeGreaterThan(60);
  });

  it.each(places.map((place) => [place.name, place] as const))('are treated as texts by %s', async (_name, place) => {
    // A separate user, because some operations end the session of the caller.
    const person = await register(node.url, 'attacker');
    for (const [what, text] of Object.entries(hostile)) {
      const operation = place.withText(text, needs);
      const { errors } = await answerTo(place, operation, person);
      for (const error of errors ?? []) {
        expect(allowed, `${what}: ${JSON.stringify(operation)} ${JSON.stringify(errors)}`).toContain(
          error.extensions?.code,
        );
        // Messages of the database, the file system or Node must not be revealed.
        expect(error.message, what).not.toMatch(
          /syntax error|relation "|column "|ENOENT|at .+\.[jt]s:\d+|node_modules/,
        );
      }
    }
    await expectUnharmed();
  });

  it('are returned unchanged where they are allowed', async () => {
    for (const text of Object.values(hostile)) {
      const [person] = await Promise.all([register(node.url, 'writer')]);
      const mine = await createGroup(person, []);
      const { data, errors } = await person.request(
        'mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { text } } }',
        { input: { conversationId: mine, text } },
      );
      if (errors) expect(errors[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.text' });
      else expect(data.sendMessage.message.text).toBe(text.trim());
    }
  });
});
