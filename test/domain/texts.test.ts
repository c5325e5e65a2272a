import bcrypt from 'bcryptjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { emailKeyOf } from '../../src/core/text/addresses.js';
import { passwordOf } from '../../src/core/text/characters.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Json, type Person, register, request } from '../support/client.js';
import { inOneMode, modes, sharedNode } from '../support/place.js';
import { createGroup, send, trySend } from '../support/talk.js';

const REGISTER = `mutation ($input: RegisterInput!) {
  register(input: $input) { viewer { email user { id } } }
}`;
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { viewer { user { id } } } }';
const PROFILE = `mutation ($input: UpdateProfileInput!) {
  updateProfile(input: $input) { viewer { user { displayName bio avatarUrl } } }
}`;
const GROUP = `mutation ($input: CreateGroupInput!) {
  createGroup(input: $input) { conversation { id title description } }
}`;

/** The code and the field of the first error. */
const refusal = ({ errors }: Json): string | undefined =>
  errors && [errors[0].extensions.code, errors[0].extensions.field].join(' ');
/** Texts without a visible character. */
const UNSEEN = ['\u200b', '\u2060\ufeff', '\u3164', '\u202e\u2066', '\ufe0f', '\u2800'];

let count = 0;
const fresh = () => {
  count += 1;
  return `texts.${count}`;
};

describe.each(modes)('texts in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let ana: Person;
  let group: string;
  beforeAll(async () => {
    node = await sharedNode(mode);
    ana = await register(node.url, 'ana');
    group = await createGroup(ana, []);
  });
  const ask = (query: string, input: Json) => request(node.url, query, { input });

  itOnce('are rejected as display names, titles and messages if they have no visible character', async () => {
    for (const text of UNSEEN) {
      const input = { username: fresh(), email: `${fresh()}@example.com`, password: 'long enough', displayName: text };
      expect(refusal(await ask(REGISTER, input))).toBe('BAD_USER_INPUT input.displayName');
      expect(refusal(await ana.request(PROFILE, { input: { displayName: text } }))).toBe(
        'BAD_USER_INPUT input.displayName',
      );
      expect(refusal(await ana.request(GROUP, { input: { title: text } }))).toBe('BAD_USER_INPUT input.title');
      expect(refusal(await trySend(ana, group, text))).toBe('BAD_USER_INPUT input.text');
    }
    const { updateProfile } = await ana.ask(PROFILE, { input: { bio: '\u200b' } });
    expect(updateProfile.viewer.user.bio).toBeNull();
  });

  it('are stored in names normalized and without direction marks, and in messages unchanged', async () => {
    const { updateProfile } = await ana.ask(PROFILE, { input: { displayName: ' Zoe\u0308 \u202egnp.exe' } });
    expect(updateProfile.viewer.user.displayName).toBe('Zoë gnp.exe');
    const { createGroup: made } = await ana.ask(GROUP, {
      input: { title: '\u2067Cafe\u0301', description: 'e\u0301' },
    });
    expect(made.conversation).toMatchObject({ title: 'Café', description: 'e\u0301' });
    const { id } = await send(ana, group, 'e\u0301 \u202e');
    const { node: message } = await ana.ask('query ($id: ID!) { node(id: $id) { ... on Message { text } } }', { id });
    expect(message.text).toBe('e\u0301 \u202e');
  });

  itOnce('are stored as normalized URLs in avatarUrl, which accepts only web addresses', async () => {
    const set = async (avatarUrl: string) => {
      const answer = await ana.request(PROFILE, { input: { avatarUrl } });
      return refusal(answer) ?? answer.data.updateProfile.viewer.user.avatarUrl;
    };
    expect(await set('HTTPS://Bücher.example:443/ü b')).toBe('https://xn--bcher-kva.example/%C3%BC%20b');
    for (const address of [
      'https://a:b@example.com/',
      'https://example.com/a\r\nb',
      'https://example.com/\u202e',
      'javascript:alert(1)',
      // Too long only after it has been percent-encoded.
      `https://example.com/${'ü'.repeat(1_000)}`,
    ]) {
      expect(await set(address), address).toBe('BAD_USER_INPUT input.avatarUrl');
    }
  });

  itOnce('are rejected with their field in every argument if they contain NUL or an unpaired surrogate', async () => {
    for (const bad of ['a\0b', 'a\ud800b']) {
      const answers: [Json, string][] = [
        [await ask(LOGIN, { usernameOrEmail: bad, password: 'long enough' }), 'input.usernameOrEmail'],
        [await ask(LOGIN, { usernameOrEmail: 'ana', password: bad }), 'input.password'],
        [await ana.request(PROFILE, { input: { avatarUrl: `https://example.com/${bad}` } }), 'input.avatarUrl'],
        [await ana.request(GROUP, { input: { title: 'x', memberIds: [ana.id, bad] } }), 'input.memberIds'],
        [await ana.request('query ($id: ID!) { node(id: $id) { id } }', { id: bad }), 'id'],
        [await ana.request('query ($q: String!) { searchMessages(query: $q) { nodes { id } } }', { q: bad }), 'query'],
        [await ana.request('query ($q: String!) { users(search: $q) { nodes { id } } }', { q: bad }), 'search'],
        [
          await ana.request('query ($c: String!) { viewer { conversations(after: $c) { nodes { id } } } }', { c: bad }),
          'after',
        ],
      ];
      for (const [answer, field] of answers) expect(refusal(answer), field).toBe(`BAD_USER_INPUT ${field}`);
    }
  });

  it('can be email addresses of any script, which are equal in both spellings of their domain', async () => {
    const name = fresh();
    const email = `a&b${name}@Bücher.example`;
    const made = await ask(REGISTER, { username: name, email, password: 'long enough' });
    expect(refusal(made)).toBeUndefined();
    expect(made.data.register.viewer.email).toBe(email);
    for (const usernameOrEmail of [email, `A&B${name.toUpperCase()}@XN--BCHER-KVA.example`]) {
      const { data } = await ask(LOGIN, { usernameOrEmail, password: 'long enough' });
      expect(data.login.viewer.user.id).toBe(made.data.register.viewer.user.id);
    }
    const again = await ask(REGISTER, { username: fresh(), email: emailKeyOf(email), password: 'long enough' });
    expect(refusal(again)).toBe('CONFLICT input.email');
  });

  itOnce(
    'are equal as passwords in every Unicode normalization form, also if they were hashed before normalization',
    async () => {
      const password = 'Zoe\u0308 la\u0300 123';
      const name = fresh();
      await ask(REGISTER, { username: name, email: `${name}@example.com`, password });
      const login = async (given: string) =>
        refusal(await ask(LOGIN, { usernameOrEmail: name, password: given })) ?? 'signed in';
      expect(await login(password.normalize('NFC'))).toBe('signed in');
      expect(await login(password.normalize('NFD').replace(' ', '\u00a0'))).toBe('signed in');
      expect(await login('Zoe la 123')).toBe('BAD_USER_INPUT ');

      const { db } = node.deps.database;
      const user = { usernameKey: name };
      await db.credential.updateMany({ where: { user }, data: { passwordHash: bcrypt.hashSync(password, 4) } });
      expect(await login(passwordOf(password))).toBe('BAD_USER_INPUT ');
      // One of these two concurrent sign-ins replaces the hash.
      expect(await Promise.all([login(password), login(password)])).toEqual(['signed in', 'signed in']);
      expect(await login(passwordOf(password))).toBe('signed in');
      const { passwordHash } = await db.credential.findFirstOrThrow({ where: { user } });
      expect(bcrypt.compareSync(passwordOf(password), passwordHash)).toBe(true);
    },
  );
});
