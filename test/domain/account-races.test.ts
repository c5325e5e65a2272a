import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { type Answer, type Person, register, request } from '../support/client.js';
import { CASES_TIMEOUT_MS, isExhaustive } from '../support/exhaustive.js';
import { inOneMode, modes, sharedTwo } from '../support/place.js';

const TOKENS = 'tokens { accessToken refreshToken }';
const LOGIN = `mutation ($input: LoginInput!) { login(input: $input) { ${TOKENS} } }`;
const REFRESH = `mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { ${TOKENS} } }`;
const CHANGE = `mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { ${TOKENS} } }`;
const DELETE = 'mutation ($input: DeleteAccountInput!) { deleteAccount(input: $input) { userId } }';
const ME = '{ viewer { user { id } } }';

/** Accounts whose owner acts while others sign in. */
const ROUNDS = isExhaustive ? 100 : 10;
/** Sign-ins and refreshes of each account at the same time. */
const CALLS_AT_ONCE = 3;

describe.each(modes)('signing in at the same time (%s)', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode);
  });

  const login = ({ username, password }: Person, url = node.url) =>
    request(url, LOGIN, { input: { usernameOrEmail: username, password } });
  const refresh = (refreshToken: string, url = node.url) => request(url, REFRESH, { input: { refreshToken } });
  const codeOf = ({ errors }: Answer) => errors?.[0]?.extensions.code;
  /** The sessions of a person that have not ended. */
  const livingSessions = async ({ id }: Person): Promise<string[]> => {
    const userId = decodeGlobalId(id, 'id').id;
    const rows = await node.deps.database.db.session.findMany({ where: { userId, endedAt: null } });
    return rows.map((session) => session.id);
  };
  const sessionOf = (token: string) => node.deps.tokens.verifyAccess(token).sessionId;

  const acts = {
    changePassword: (person: Person) =>
      person.request(CHANGE, { input: { currentPassword: person.password, newPassword: 'another password' } }),
    deleteAccount: (person: Person) => person.request(DELETE, { input: { password: person.password } }),
  };

  describe.each(Object.entries(acts))('as %s', (name, act) => {
    it('creates no session if the password was verified before', async () => {
      const person = await register(node.url);
      const { passwords } = node.deps;
      node.deps.passwords = {
        ...passwords,
        async verify(text, hash) {
          const matches = await passwords.verify(text, hash);
          node.deps.passwords = passwords;
          expect(codeOf(await act(person))).toBeUndefined();
          return matches;
        },
      };
      expect(codeOf(await login(person))).toBe('BAD_USER_INPUT');
      expect(await livingSessions(person)).toHaveLength(name === 'changePassword' ? 1 : 0);
    });

    itOnce('leaves no other session, whichever comes first', { timeout: CASES_TIMEOUT_MS }, async () => {
      let signedIn = 0;
      let refused = 0;
      const round = async (number: number) => {
        const person = await register(node.url);
        const { data } = await login(person);
        const { refreshToken } = data.login.tokens;
        let ownerIsDone = () => {};
        const done = new Promise<void>((resolve) => {
          ownerIsDone = resolve;
        });
        const isOwnerLate = number % 2 === 0;
        const calls = Array.from({ length: CALLS_AT_ONCE }, async (_, call) => {
          for (let turn = 0; turn < (number * 7 + call * 5) % 20; turn += 1) await new Promise(setImmediate);
          // The others race. One is before the owner's call or after it, so that both happen in every run.
          if (!isOwnerLate && call === 1) await done;
          const url = call % 2 === 0 ? node.url : other.url;
          return Promise.all([login(person, url), call === 0 ? refresh(refreshToken, url) : undefined]);
        });
        const acting = async () => {
          if (isOwnerLate) await calls[0];
          return act(person).finally(ownerIsDone);
        };
        const [owner, ...answers] = await Promise.all([acting(), ...calls]);
        expect(codeOf(owner)).toBeUndefined();
        const kept = name === 'changePassword' ? [sessionOf(person.token)] : [];
        expect(await livingSessions(person)).toEqual(kept);
        for (const answer of answers.flat()) {
          const tokens = (answer?.data?.login ?? answer?.data?.refreshSession)?.tokens;
          if (!tokens) {
            refused += 1;
            continue;
          }
          signedIn += 1;
          expect(codeOf(await request(node.url, ME, {}, tokens.accessToken))).toBe('UNAUTHENTICATED');
          expect(codeOf(await refresh(tokens.refreshToken))).toBe('UNAUTHENTICATED');
        }
      };
      await Promise.all(Array.from({ length: ROUNDS }, (_, number) => round(number)));
      expect(signedIn).toBeGreaterThan(0);
      expect(refused).toBeGreaterThan(0);
    });
  });
});
