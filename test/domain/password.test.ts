import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { createServer, type Socket } from 'node:net';
import { Writable } from 'node:stream';
import jwt from 'jsonwebtoken';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { createResetRequests } from '../../src/domain/password/password.requests.js';
import { requestPasswordReset } from '../../src/domain/password/password.service.js';
import { sessionWatch } from '../../src/domain/session/session.authentication.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { type RunningNode, startNode } from '../../src/server/start.js';
import {
  type Answer,
  ask,
  connect,
  eventually,
  type Json,
  listen,
  type Person,
  register,
  request,
} from '../support/client.js';
import { type MailServer, mailInFolder, outboxOf, startMailServer, tokenOf } from '../support/mail.js';
import { inOneMode, makePlace, modes, type Place } from '../support/place.js';
import { statementsOf } from '../support/statements.js';
import { MESSAGES } from '../support/talk.js';

const SIGNED_IN = 'tokens { accessToken refreshToken } viewer { user { id } sessions { id current } }';
const CHANGE = `mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { ${SIGNED_IN} } }`;
const REQUEST = 'mutation ($input: RequestPasswordResetInput!) { requestPasswordReset(input: $input) { accepted } }';
const RESET = `mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { ${SIGNED_IN} } }`;
const LOGIN = 'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }';
const REFRESH =
  'mutation ($input: RefreshSessionInput!) { refreshSession(input: $input) { tokens { accessToken refreshToken } } }';
const ME = '{ viewer { user { id } } }';
const NEW = 'correct horse battery';

const failure = ({ errors }: Answer) => errors?.[0]?.extensions;
const accepted = { data: { requestPasswordReset: { accepted: true } } };
const notCurrent = { code: 'BAD_USER_INPUT', field: 'input.currentPassword' };
const notUsable = { code: 'BAD_USER_INPUT', field: 'input.token' };

describe.each(modes)('passwords in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let place: Place;
  let smtp: MailServer;
  let mailing: Record<string, string>;
  /** The node that receives the requests, and another one if the mode supports two. */
  let node: RunningNode;
  let other: RunningNode;

  beforeAll(async () => {
    place = await makePlace(mode);
    smtp = await startMailServer();
    mailing = {
      SMTP_URL: smtp.url,
      MAIL_FROM: 'Chat <chat@example.com>',
      PASSWORD_RESET_URL: 'https://chat.example.com/reset#token={token}',
    };
    node = await place.start(mailing);
    other = mode === 'postgresql' ? await place.start(mailing) : node;
  });

  const logIn = async (person: Person, password = person.password): Promise<string> => {
    const input = { usernameOrEmail: person.username, password };
    return (await ask(node.url, LOGIN, { input })).login.tokens.accessToken;
  };
  const logInFails = async (person: Person, password: string) => {
    const answer = await request(node.url, LOGIN, { input: { usernameOrEmail: person.username, password } });
    expect(failure(answer)).toEqual({ code: 'BAD_USER_INPUT' });
  };
  const change = (person: Person, newPassword: string, currentPassword = person.password) =>
    person.request(CHANGE, { input: { currentPassword, newPassword } });
  const askForReset = (email: string, url = node.url) => request(url, REQUEST, { input: { email } });
  const reset = (token: string, newPassword = NEW, url = node.url) =>
    request(url, RESET, { input: { token, newPassword } });
  /** Requests mails for a user, and returns their tokens. */
  const tokensFor = async (person: Person, count = 1) => {
    for (let asked = 0; asked < count; asked += 1) await askForReset(person.email);
    return (await smtp.until(person.email, count)).map(tokenOf) as [string, ...string[]];
  };
  const isSignedIn = async (token: string) => failure(await request(node.url, ME, {}, token)) === undefined;
  /** Returns those of these sessions whose end is announced while `work` runs, before the periodic check could find it. */
  const endedBy = async (tokens: readonly string[], work: () => Promise<unknown>): Promise<string[]> => {
    const ended: string[] = [];
    const sessions = sessionWatch.of(node.deps);
    const unwatch = sessionsOf(tokens).map((id) =>
      sessions.watch(id, new Date(Date.now() + 60_000), () => ended.push(id)),
    );
    await work();
    for (const stop of unwatch) stop();
    return ended.sort();
  };
  const sessionsOf = (tokens: readonly string[]) =>
    tokens.map((token) => (jwt.decode(token) as { sid: string }).sid).sort();
  /** Opens a socket with a stream. `closed` resolves with the close code. */
  const openSocket = async (url: string, token: string): Promise<{ closed: Promise<number>; close(): unknown }> => {
    let onClosed: (code: number) => void;
    const closed = new Promise<number>((resolve) => {
      onClosed = resolve;
    });
    const client = connect(url, token, { on: { closed: (event) => onClosed((event as { code: number }).code) } });
    await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
    return { closed, close: () => client.dispose() };
  };
  /** Waits until all earlier requests have been processed, because requests are processed in order. */
  const untilProcessed = async () => {
    for (const { url } of new Set([node, other])) {
      const marker = await register(url, 'marker');
      await askForReset(marker.email, url);
      await smtp.until(marker.email);
    }
  };

  describe('changePassword', () => {
    it('ends all other sessions with their sockets, and keeps this one with new tokens', async () => {
      const person = await register(node.url);
      const tokens = [await logIn(person), await logIn(person)] as const;
      const here = await openSocket(node.url, person.token);
      const others = [await openSocket(node.url, tokens[0]), await openSocket(other.url, tokens[1])];
      let answer: Json;
      const ended = await endedBy([person.token, ...tokens], async () => {
        answer = await change(person, NEW);
      });
      expect(ended).toEqual(sessionsOf(tokens));
      const { tokens: fresh, viewer } = answer.data.changePassword;
      expect(await Promise.all(others.map(({ closed }) => closed))).toEqual([4403, 4403]);
      for (const token of tokens) expect(await isSignedIn(token)).toBe(false);
      expect(viewer).toMatchObject({ user: { id: person.id }, sessions: [{ current: true }] });
      for (const token of [person.token, fresh.accessToken]) expect(await isSignedIn(token)).toBe(true);
      const open = await Promise.race([here.closed, openSocket(other.url, fresh.accessToken)]);
      expect(open).toHaveProperty('closed');
      await here.close();
      await (open as Json).close();
      await logInFails(person, person.password);
      await logIn(person, NEW);
    });

    itOnce('extends the WebSocket over which it is called', async () => {
      const { url } = await (await makePlace(mode)).start({ ...mailing, ACCESS_TOKEN_TTL: '5s' });
      const person = await register(url);
      const expiresAt = ((jwt.decode(person.token) as { exp: number }).exp ?? 0) * 1_000;
      let code: number | undefined;
      const client = connect(url, person.token, {
        on: {
          closed: (event) => {
            code = (event as { code: number }).code;
          },
        },
      });
      await listen(client, MESSAGES).until(({ type }) => type === 'CAUGHT_UP');
      await eventually('the token is about to expire', () => Date.now() > expiresAt - 3_000);
      const variables = { input: { currentPassword: person.password, newPassword: NEW } };
      const { tokens } = await listen(client, CHANGE, variables, 'changePassword').until(() => true);
      expect((jwt.decode(tokens.accessToken) as { exp: number }).exp * 1_000).toBeGreaterThan(expiresAt);
      await eventually('the token has expired', () => Date.now() > expiresAt + 300);
      expect(code).toBeUndefined();
      await client.dispose();
    });

    itOnce('invalidates the old refresh token, whose use does not end the session', async () => {
      const person = await register(node.url);
      const { tokens } = (await change(person, NEW)).data.changePassword;
      const old = await request(node.url, REFRESH, { input: { refreshToken: person.refreshToken } });
      expect(failure(old)?.code).toBe('UNAUTHENTICATED');
      const { refreshSession } = await ask(node.url, REFRESH, { input: { refreshToken: tokens.refreshToken } });
      expect(await isSignedIn(refreshSession.tokens.accessToken)).toBe(true);
    });

    itOnce.each(['', 'wrong password', `${'x'.repeat(80)}`])('rejects %j as the current password', async (wrong) => {
      const person = await register(node.url);
      const elsewhere = await logIn(person);
      expect(failure(await change(person, NEW, wrong))).toEqual(notCurrent);
      expect(await isSignedIn(elsewhere)).toBe(true);
      await logIn(person);
    });

    itOnce.each(['short', 'ä'.repeat(37), 'with\0nul and more'])('rejects the new password %j', async (newPassword) => {
      const person = await register(node.url);
      expect(failure(await change(person, newPassword))).toEqual({
        code: 'BAD_USER_INPUT',
        field: 'input.newPassword',
      });
      await logIn(person);
    });

    itOnce('succeeds once for concurrent calls with the same current password', async () => {
      const person = await register(node.url);
      const at = [person, person.at(other.url), person, person.at(other.url)];
      const answers = await Promise.all(at.map((one, index) => change(one, `new password ${index}`)));
      const won = answers.findIndex(({ errors }) => !errors);
      const rest = answers.filter((_answer, index) => index !== won);
      expect(rest.map(failure)).toEqual(rest.map(() => notCurrent));
      await logIn(person, `new password ${won}`);
    });

    itOnce('invalidates the tokens of reset emails, and notifies the user by email', async () => {
      const person = await register(node.url);
      const [token] = await tokensFor(person);
      await change(person, NEW);
      expect(failure(await reset(token, 'another password'))).toEqual(notUsable);
      const notice = (await smtp.until(person.email, 2))[1];
      expect(notice?.subject).toBe('Your password was changed');
      expect(notice?.source).not.toContain(NEW);
    });
  });

  describe('requestPasswordReset', () => {
    itOnce.each([
      ['of the account', (email: string) => email],
      ['in another case and with surrounding spaces', (email: string) => ` ${email.toUpperCase()} `],
    ])('sends a mail with a link to the address %s', async (_name, written) => {
      const person = await register(node.url);
      expect(await askForReset(written(person.email))).toMatchObject(accepted);
      const [mail] = await smtp.until(person.email);
      expect(mail?.subject).toBe('Reset your password');
      expect(mail?.source).toContain('From: Chat <chat@example.com>');
      expect(mail?.source).toMatch(/^https:\/\/chat\.example\.com\/reset#token=[\w-]{43}$/m);
      expect(mail?.source).toMatch(/href="https:\/\/chat\.example\.com\/reset#token=[\w-]{43}"/);
    });

    itOnce('accepts an address without an account or of a deleted account, but sends nothing', async () => {
      const deleted = await register(node.url);
      await node.deps.database.db.user.update({
        where: { usernameKey: deleted.username },
        data: { deletedAt: new Date() },
      });
      for (const email of ['nobody@example.com', deleted.email])
        expect(await askForReset(email)).toMatchObject(accepted);
      await untilProcessed();
      expect(smtp.to('nobody@example.com')).toEqual([]);
      expect(smtp.to(deleted.email)).toEqual([]);
    });

    itOnce.each(['', 'nobody', 'a@b', 'a@example.com, b@example.com', `${'x'.repeat(250)}@example.com`])(
      'rejects the invalid address %j',
      async (email) => {
        expect(failure(await askForReset(email))).toEqual({ code: 'BAD_USER_INPUT', field: 'input.email' });
      },
    );

    it('stores only a hash of the token', async () => {
      const person = await register(node.url);
      const [token] = await tokensFor(person);
      const rows = await node.deps.database.db.passwordReset.findMany({
        where: { user: { usernameKey: person.username } },
      });
      expect(rows).toHaveLength(1);
      expect(Buffer.from(rows[0]?.tokenHash ?? [])).toEqual(createHash('sha256').update(token).digest());
      const lastsMs = (rows[0]?.expiresAt.getTime() ?? 0) - Date.now();
      expect(Math.abs(lastsMs - 3_600_000)).toBeLessThan(60_000);
    });

    it('sends at most three emails per account whose tokens are valid, also for concurrent requests', async () => {
      const person = await register(node.url);
      const urls = [node.url, other.url, node.url, other.url, node.url, other.url];
      const answers = await Promise.all(urls.map((url) => askForReset(person.email, url)));
      for (const answer of answers) expect(answer).toMatchObject(accepted);
      await untilProcessed();
      expect(smtp.to(person.email)).toHaveLength(3);
      const past = { data: { expiresAt: new Date(Date.now() - 1) }, where: { user: { usernameKey: person.username } } };
      await node.deps.database.db.passwordReset.updateMany(past);
      await askForReset(person.email);
      expect(await smtp.until(person.email, 4)).toHaveLength(4);
    });

    it.skipIf(mode === 'embedded')('counts emails that another node is about to send', async () => {
      const person = await register(node.url);
      await tokensFor(person, 2);
      const { database } = other.deps;
      const { transaction } = database;
      let commit = () => {};
      const mayCommit = new Promise<void>((resolve) => {
        commit = resolve;
      });
      let isWritten = false;
      database.transaction = (work) =>
        transaction(async (tx) => {
          const result = await work(tx);
          isWritten = true;
          await mayCommit;
          return result;
        });
      try {
        await askForReset(person.email, other.url);
        await eventually('the other node has written', () => isWritten);
        await askForReset(person.email, node.url);
        await eventually('this node waits, or has sent a mail', async () => {
          const waiting = await node.deps.database.db.$queryRaw<unknown[]>`
            SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
          return waiting.length > 0 || smtp.to(person.email).length > 2;
        });
      } finally {
        commit();
        database.transaction = transaction;
      }
      await untilProcessed();
      expect(smtp.to(person.email)).toHaveLength(3);
    });

    itOnce('responds before the address is looked up, so that known and unknown addresses look the same', async () => {
      // A node without sweeps, which would read from the database.
      const { url, deps } = await (await makePlace(mode)).start({ ...mailing, SWEEP_INTERVAL: '1h' });
      const person = await register(url);
      const { database } = deps;
      const { transaction } = database;
      let release = () => {};
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      database.transaction = (work) => held.then(() => transaction(work));
      try {
        // Other nodes of this process execute statements too, but none about accounts.
        const of = async (email: string) =>
          (
            await statementsOf({ deps }, async () => void expect(await askForReset(email, url)).toMatchObject(accepted))
          ).filter((statement) => /credentials|password_resets|users/.test(statement));
        const [known, unknown] = [await of(person.email), await of('nobody@example.com')];
        expect(known).toEqual(unknown);
        expect(known).toEqual([]);
        // Transactions, which would look it up, are still blocked.
        expect(await requestPasswordReset(deps, { email: person.email })).toEqual({ accepted: true });
      } finally {
        release();
        database.transaction = transaction;
      }
      await smtp.until(person.email, 2);
    });
  });

  describe('resetPassword', () => {
    it('sets the password once, and signs the user in', async () => {
      const person = await register(node.url);
      const [token] = await tokensFor(person);
      const { data } = await reset(` ${token}\n`);
      const { tokens, viewer } = data.resetPassword;
      expect(viewer).toMatchObject({ user: { id: person.id }, sessions: [{ current: true }] });
      expect(await isSignedIn(tokens.accessToken)).toBe(true);
      await ask(node.url, REFRESH, { input: { refreshToken: tokens.refreshToken } });
      expect(failure(await reset(token, 'another password'))).toEqual(notUsable);
      await logInFails(person, person.password);
      await logIn(person, NEW);
      expect((await smtp.until(person.email, 2))[1]?.subject).toBe('Your password was changed');
    });

    itOnce('ends all sessions with their sockets, on every node', async () => {
      const person = await register(node.url);
      const tokens = [person.token, await logIn(person), await logIn(person)];
      const sockets = await Promise.all(
        [node, other, other].map(({ url }, index) => openSocket(url, tokens[index] ?? '')),
      );
      const [token] = await tokensFor(person);
      expect(await endedBy(tokens, () => reset(token))).toEqual(sessionsOf(tokens));
      expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual([4403, 4403, 4403]);
      for (const old of tokens) expect(await isSignedIn(old)).toBe(false);
      const refreshed = await request(node.url, REFRESH, { input: { refreshToken: person.refreshToken } });
      expect(failure(refreshed)?.code).toBe('UNAUTHENTICATED');
    });

    itOnce('rejects invalid and expired tokens', async () => {
      const person = await register(node.url);
      const [token] = await tokensFor(person);
      const invented = ['', 'nonsense', 'A'.repeat(43), `${token}A`, `${token.slice(0, -1)}?`];
      const answers = [];
      for (const one of invented) answers.push(await reset(one));
      const past = { data: { expiresAt: new Date(Date.now() - 1) }, where: { user: { usernameKey: person.username } } };
      await node.deps.database.db.passwordReset.updateMany(past);
      answers.push(await reset(token));
      for (const answer of answers) expect(failure(answer)).toEqual(notUsable);
      expect(new Set(answers.map(({ errors }) => errors?.[0]?.message)).size).toBe(1);
      expect(await isSignedIn(person.token)).toBe(true);
    });

    itOnce('succeeds once for concurrent calls with one or several tokens of a user', async () => {
      const person = await register(node.url);
      const tokens = await tokensFor(person, 3);
      const uses = Array.from({ length: 12 }, (_, index) => ({
        token: tokens[index % 3] ?? '',
        password: `new password ${index}`,
        url: index % 2 ? other.url : node.url,
      }));
      const answers = await Promise.all(uses.map(({ token, password, url }) => reset(token, password, url)));
      const won = answers.findIndex(({ errors }) => !errors);
      const rest = answers.filter((_answer, index) => index !== won);
      expect(rest.map(failure)).toEqual(rest.map(() => notUsable));
      await logIn(person, `new password ${won}`);
      for (const token of tokens) expect(failure(await reset(token))).toEqual(notUsable);
    });

    itOnce('does not use up the token if the new password is invalid', async () => {
      const person = await register(node.url);
      const [token] = await tokensFor(person);
      expect(failure(await reset(token, 'short'))).toEqual({ code: 'BAD_USER_INPUT', field: 'input.newPassword' });
      expect((await reset(token)).errors).toBeUndefined();
    });

    itOnce('does not restore a deleted account', async () => {
      const person = await register(node.url);
      const [token] = await tokensFor(person);
      await node.deps.database.db.user.update({
        where: { usernameKey: person.username },
        data: { deletedAt: new Date() },
      });
      expect(failure(await reset(token))).toEqual(notUsable);
    });

    itOnce('makes a concurrent login or password change with the old password fail', async () => {
      const [person, another] = [await register(node.url), await register(node.url)];
      const { passwords } = node.deps;
      const { verify } = passwords;
      /** Resets the password of a user after the old one was verified, and before `work` continues. */
      const resetMeanwhile = async (who: Person, work: () => Promise<Answer>): Promise<Answer> => {
        const [token] = await tokensFor(who);
        passwords.verify = async (...args) => {
          const right = await verify(...args);
          expect((await reset(token)).errors).toBeUndefined();
          return right;
        };
        try {
          return await work();
        } finally {
          passwords.verify = verify;
        }
      };
      const input = { usernameOrEmail: person.username, password: person.password };
      const login = await resetMeanwhile(person, () => request(node.url, LOGIN, { input }));
      expect(failure(login)).toEqual({ code: 'BAD_USER_INPUT' });
      const changed = await resetMeanwhile(another, () => change(another, 'of the thief'));
      expect(failure(changed)).toEqual(notCurrent);
      for (const one of [person, another]) await logIn(one, NEW);
    });
  });
});

describe('a password reset', () => {
  it('does not wait for an unresponsive mail server, which does not delay the stop of the node for long', async () => {
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => void sockets.add(socket));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const { port } = silent.address() as { port: number };
    const node = await (await makePlace('embedded')).start({
      SMTP_URL: `smtp://127.0.0.1:${port}`,
      MAIL_FROM: 'chat@example.com',
    });
    const person = await register(node.url);
    const asked = await request(node.url, REQUEST, { input: { email: person.email } });
    expect(asked).toMatchObject(accepted);
    const input = { currentPassword: person.password, newPassword: NEW };
    expect((await person.request(CHANGE, { input })).errors).toBeUndefined();
    // Both mails are being sent to the unresponsive server.
    await expect.poll(() => sockets.size, { timeout: 10_000 }).toBe(2);
    await node.stop();
  });

  it('writes the email to a file that only the owner can read if there is no SMTP server', async () => {
    const place = await makePlace('embedded');
    const { url } = await place.start();
    const person = await register(url);
    expect(await request(url, REQUEST, { input: { email: person.email } })).toMatchObject(accepted);
    const mail = await mailInFolder(outboxOf(place), person.email);
    expect(mail.source).toContain('enter this code');
    expect((await stat(outboxOf(place))).mode & 0o777).toBe(0o700);
    await ask(url, RESET, { input: { token: tokenOf(mail), newPassword: NEW } });
  });

  it('causes a warning at the start of a node in production if SMTP_URL is not set', async () => {
    let logged = '';
    const stream = new Writable({
      write(chunk, _encoding, done) {
        logged += String(chunk);
        done();
      },
    });
    const { env } = await makePlace('embedded');
    const production = { ...env, NODE_ENV: 'production', PORT: '0', JWT_SECRET: 'x'.repeat(32) };
    const node = await startNode(readConfig(production), createLog('warn', stream));
    await node.stop();
    expect(logged.match(/SMTP_URL is not set/g)).toHaveLength(1);
  });

  it('returns UNAVAILABLE if too many requests are waiting', () => {
    const requests = createResetRequests({
      config: {} as never,
      database: { transaction: () => new Promise(() => {}) } as never,
      mailer: { send() {}, close: async () => {} } as never,
      audit: { record() {}, close: async () => {} },
      log: createLog('silent'),
    });
    for (let count = 0; count < 1_000; count += 1) requests.take('nobody@example.com');
    expect(() => requests.take('nobody@example.com')).toThrow(expect.objectContaining({ code: 'UNAVAILABLE' }));
  });
});
