import { readFileSync } from 'node:fs';
import { createClient } from 'graphql-ws';
import { beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { readConfig } from '../../src/app/config.js';
import { features } from '../../src/app/features.js';
import { decodeGlobalId, encodeGlobalId, newId } from '../../src/core/ids.js';
import { auditActions } from '../../src/domain/audit/audit.actions.js';
import { createAuditLogger } from '../../src/domain/audit/audit.logger.js';
import { trimAuditLog } from '../../src/domain/audit/audit.store.js';
import { recordSettings } from '../../src/domain/audit/changed-settings.js';
import type { AuditEntry } from '../../src/generated/prisma/client.js';
import { createLog } from '../../src/infra/telemetry/log.js';
import { withRequest } from '../../src/infra/telemetry/request.js';
import type { RunningNode } from '../../src/server/start.js';
import {
  type Answer,
  eventually,
  type Json,
  type Person,
  register,
  registerAll,
  socketUrl,
} from '../support/client.js';
import { mailInFolder, outboxOf, tokenOf } from '../support/mail.js';
import { inOneMode, makePlace, modes, startTwo } from '../support/place.js';
import { Provider } from '../support/provider.js';
import { statementsOf } from '../support/statements.js';
import { attempt, createGroup, openDirect, send } from '../support/talk.js';

const SERVICE_KEY = 'the-key-of-a-backend-of-this-service-in-tests';
const DAY_MS = 86_400_000;

const rowId = (globalId: string) => decodeGlobalId(globalId, 'id').id;
const makeAdmin = ({ deps }: RunningNode, { id }: Person) =>
  deps.database.db.user.update({ where: { id: rowId(id) }, data: { serviceRole: 'ADMIN' } });

let requests = 0;

/** Sends requests from a separate address, which a trusted proxy forwards. */
interface From {
  address: string;
  requestId: string;
  ask(url: string, operation: string, variables?: Json, token?: string): Promise<Answer>;
}

function fromSomewhere(): From {
  requests += 1;
  const address = `203.0.${Math.floor(requests / 250)}.${requests % 250}`;
  const requestId = `request-${requests}`;
  const headers = { 'content-type': 'application/json', 'x-forwarded-for': address, 'x-request-id': requestId };
  return {
    address,
    requestId,
    async ask(url, query, variables = {}, token = '') {
      const response = await fetch(url, {
        method: 'POST',
        headers: { ...headers, ...(token && { authorization: `Bearer ${token}` }) },
        body: JSON.stringify({ query, variables }),
      });
      return { status: response.status, ...((await response.json()) as object) };
    },
  };
}

const mutation = (
  name: string,
  selection = '__typename',
  inputType = `${name[0]?.toUpperCase()}${name.slice(1)}Input!`,
) => `mutation ($input: ${inputType}) { ${name}(input: $input) { ${selection} } }`;
const TOKENS = 'tokens { accessToken refreshToken } viewer { user { id } sessions { id current } }';

const LOG = `query ($filter: AuditFilter, $first: Int, $after: String) {
  auditLog(filter: $filter, first: $first, after: $after) {
    pageInfo { hasNextPage endCursor }
    nodes {
      id at action outcome actorId actor { id username } subjectId subject { id } conversationId sessionId address requestId
      count details { name value oldValue }
    }
  }
}`;

// Some tests start several nodes, which takes time on a busy machine.
describe.each(modes)('the audit log in %s mode', { timeout: 120_000 }, (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let admin: Person;
  let provider: Provider;
  beforeAll(async () => {
    provider = await Provider.start();
    const place = await makePlace(mode);
    [node, other] = await startTwo(place, { TRUSTED_PROXIES: 'loopback', SERVICE_KEY, ...provider.env });
    admin = await register(node.url, 'admin');
    await makeAdmin(node, admin);
  });

  const rows = (where: object = {}): Promise<AuditEntry[]> =>
    node.deps.database.db.auditEntry.findMany({ where, orderBy: [{ at: 'asc' }, { id: 'asc' }] });
  const logOf = async (filter: object, page: object = {}, person = admin) =>
    (await person.ask(LOG, { filter, ...page })).auditLog as { nodes: Json[]; pageInfo: Json };

  /** The expected values of an entry that are not null. */
  type Expected = Partial<
    Record<'action' | 'outcome' | 'actorId' | 'subjectId' | 'conversationId' | 'sessionId', Json>
  > & {
    details?: Record<string, Json>;
  };

  itOnce('contains exactly one entry per action, with the actor, the subject and the address', async () => {
    // A separate service, so that there are no other entries.
    const own = await makePlace(mode);
    const [node, other] = await startTwo(own, { TRUSTED_PROXIES: 'loopback', SERVICE_KEY, ...provider.env });
    const rows = (where: object = {}) => node.deps.database.db.auditEntry.findMany({ where });
    const [ann, ben, chief, hal] = await registerAll(node.url, 'ann', 'ben', 'chief', 'hal');
    await makeAdmin(node, chief);
    const sessionOf = async ({ token }: { token: string }) => {
      const { data } = await fromSomewhere().ask(node.url, '{ viewer { sessions { id current } } }', {}, token);
      return data.viewer.sessions.find(({ current }: Json) => current).id as string;
    };
    const [annSession, chiefSession] = [await sessionOf(ann), await sessionOf(chief)];
    const group = await createGroup(ann, []);
    const before = new Set((await rows()).map(({ id }) => id));
    const expectedEntries: Json[] = [];

    /** Performs an action from a separate address, on alternating nodes, and expects exactly these entries. */
    let turn = 0;
    async function act(
      what: string,
      input: Json,
      { token = '', selection }: { token?: string; selection?: string },
      ...expected: Expected[]
    ): Promise<Json> {
      turn += 1;
      const from = fromSomewhere();
      const operation = what.startsWith('{') || what.startsWith('query') ? what : mutation(what, selection);
      const answer = await from.ask((turn % 2 ? node : other).url, operation, { input }, token);
      await eventually(`${what} is recorded`, async () => {
        return (await rows({ address: from.address })).length >= expected.length;
      });
      expectedEntries.push(
        ...expected.map((entry) => ({ ...entry, address: from.address, requestId: from.requestId })),
      );
      return answer.data?.[what] ?? answer.errors?.[0]?.extensions.code;
    }
    const asAnn = { token: ann.token };
    const asChief = { token: chief.token };
    const byChief = { actorId: chief.id, sessionId: chiefSession };
    const byAnn = { actorId: ann.id, sessionId: annSession };
    const any = expect.any(String);

    // ── the own account ──
    const input = { username: `dan.${mode}`, email: `dan.${mode}@example.com`, password: 'a password of dan' };
    const { viewer: dan } = await act(
      'register',
      input,
      { selection: TOKENS },
      {
        action: 'ACCOUNT_CREATED',
        actorId: any,
        subjectId: any,
        sessionId: any,
        details: { by: 'REGISTRATION' },
      },
    );
    await act(
      'register',
      input,
      {},
      {
        action: 'ACCOUNT_CREATED',
        outcome: 'REFUSED',
        details: { by: 'REGISTRATION', reason: 'TAKEN' },
      },
    );
    const login = { usernameOrEmail: input.username, password: input.password };
    const signedIn = await act(
      'login',
      login,
      { selection: TOKENS },
      {
        action: 'SIGNED_IN',
        actorId: dan.user.id,
        subjectId: dan.user.id,
        sessionId: any,
        details: { by: 'PASSWORD' },
      },
    );
    const danSession = signedIn.viewer.sessions.find(({ current }: Json) => current).id;
    const asDan = { token: signedIn.tokens.accessToken };
    const byDan = { actorId: dan.user.id, subjectId: dan.user.id, sessionId: danSession };
    await act(
      'login',
      { ...login, password: 'a wrong one' },
      {},
      {
        action: 'SIGNED_IN',
        outcome: 'REFUSED',
        subjectId: dan.user.id,
        details: { by: 'PASSWORD', reason: 'WRONG_PASSWORD' },
      },
    );
    await act(
      'login',
      { usernameOrEmail: 'my secret password', password: 'x' },
      {},
      {
        action: 'SIGNED_IN',
        outcome: 'REFUSED',
        details: { by: 'PASSWORD', reason: 'UNKNOWN_ACCOUNT' },
      },
    );
    await act('changePassword', { currentPassword: 'not it', newPassword: 'another password' }, asDan, {
      action: 'PASSWORD_CHANGED',
      outcome: 'REFUSED',
      ...byDan,
      details: { reason: 'WRONG_PASSWORD' },
    });
    const change = { currentPassword: input.password, newPassword: 'another password' };
    await act('changePassword', change, asDan, {
      action: 'PASSWORD_CHANGED',
      ...byDan,
      details: { sessionsEnded: '1' },
    });
    await act(
      'requestPasswordReset',
      { email: hal.email },
      {},
      {
        action: 'PASSWORD_RESET_REQUESTED',
        subjectId: hal.id,
      },
    );
    await act(
      'requestPasswordReset',
      { email: `nobody.${mode}@example.com` },
      {},
      {
        action: 'PASSWORD_RESET_REQUESTED',
        outcome: 'REFUSED',
        details: { reason: 'UNKNOWN_ACCOUNT' },
      },
    );
    await act(
      'resetPassword',
      { token: 'x'.repeat(43), newPassword: 'a third password' },
      {},
      {
        action: 'PASSWORD_RESET',
        outcome: 'REFUSED',
        details: { reason: 'INVALID_TOKEN' },
      },
    );
    const token = tokenOf(await mailInFolder(outboxOf(own), hal.email));
    await act(
      'resetPassword',
      { token, newPassword: 'a third password' },
      { selection: TOKENS },
      {
        action: 'PASSWORD_RESET',
        actorId: hal.id,
        subjectId: hal.id,
        sessionId: any,
        details: { sessionsEnded: '1' },
      },
    );

    // ── in a group ──
    const inGroup = { conversationId: group };
    await act(
      'addMembers',
      { ...inGroup, userIds: [ben.id, chief.id] },
      asAnn,
      { action: 'MEMBER_ADDED', ...byAnn, ...inGroup, subjectId: ben.id },
      { action: 'MEMBER_ADDED', ...byAnn, ...inGroup, subjectId: chief.id },
    );
    const { id: messageId } = await send(ben, group, 'a text that is nobody’s business');
    await act('setMemberRole', { ...inGroup, userId: chief.id, role: 'ADMIN' }, asAnn, {
      action: 'MEMBER_ROLE_CHANGED',
      ...byAnn,
      ...inGroup,
      subjectId: chief.id,
      details: { role: ['MEMBER', 'ADMIN'] },
    });
    await act('setMemberRole', { ...inGroup, userId: chief.id, role: 'OWNER' }, asChief, {
      action: 'MEMBER_ROLE_CHANGED',
      outcome: 'REFUSED',
      ...byChief,
      ...inGroup,
      subjectId: chief.id,
      details: { role: 'OWNER', reason: 'NOT_ALLOWED' },
    });
    const encrypted = { conversationId: await createGroup(ann, [ben]) };
    await act(
      'enableEncryption',
      encrypted,
      { token: ben.token },
      {
        action: 'ENCRYPTION_ENABLED',
        outcome: 'REFUSED',
        actorId: ben.id,
        sessionId: any,
        ...encrypted,
        details: { reason: 'NOT_ALLOWED' },
      },
    );
    await act('enableEncryption', encrypted, asAnn, { action: 'ENCRYPTION_ENABLED', ...byAnn, ...encrypted });
    await act('enableEncryption', encrypted, asAnn);
    await act('updateGroup', { ...inGroup, title: 'No such thing', visibility: 'PUBLIC' }, asAnn, {
      action: 'GROUP_SETTINGS_CHANGED',
      ...byAnn,
      ...inGroup,
      details: { visibility: ['PRIVATE', 'PUBLIC'] },
    });
    await act('updateGroup', { ...inGroup, historyVisibility: 'SINCE_JOINED' }, asChief, {
      action: 'GROUP_SETTINGS_CHANGED',
      outcome: 'REFUSED',
      ...byChief,
      ...inGroup,
      details: { reason: 'NOT_ALLOWED' },
    });
    await act('updateGroup', { ...inGroup, title: 'A title changes nobody’s rights' }, asChief);
    await act('deleteMessage', { messageId }, asChief, {
      action: 'MESSAGE_DELETED',
      ...byChief,
      ...inGroup,
      subjectId: ben.id,
      details: { messageId },
    });
    await act('deleteMessage', { messageId }, asChief);
    const mine = await send(ben, group, 'another one');
    await act('deleteMessage', { messageId: mine.id }, { token: ben.token });
    await act('removeMember', { ...inGroup, userId: ann.id }, asChief, {
      action: 'MEMBER_REMOVED',
      outcome: 'REFUSED',
      ...byChief,
      ...inGroup,
      subjectId: ann.id,
      details: { reason: 'NOT_ALLOWED' },
    });
    await act('removeMember', { ...inGroup, userId: ben.id }, asChief, {
      action: 'MEMBER_REMOVED',
      ...byChief,
      ...inGroup,
      subjectId: ben.id,
      details: { role: 'MEMBER' },
    });
    await act('removeMember', { ...inGroup, userId: ben.id }, asChief);
    await act('leaveConversation', inGroup, asAnn, {
      action: 'MEMBER_ROLE_CHANGED',
      ...byAnn,
      ...inGroup,
      subjectId: chief.id,
      details: { role: ['ADMIN', 'OWNER'] },
    });

    // ── reports ──
    const direct = await openDirect(chief, ann);
    const reported = await send(ann, direct, 'to be reported');
    await act('reportMessage', { messageId: reported.id, reason: 'SPAM', comment: 'a secret comment' }, asChief, {
      action: 'MESSAGE_REPORTED',
      ...byChief,
      subjectId: ann.id,
      conversationId: direct,
      details: { reportId: any, messageId: reported.id, reason: 'SPAM' },
    });
    await act('reportMessage', { messageId: reported.id, reason: 'SPAM' }, asChief);
    const reportId = encodeGlobalId('Report', (await node.deps.database.db.report.findFirstOrThrow()).id);
    const READ = 'query { reports(filter: { state: OPEN }) { nodes { id } } }';
    await act(READ, {}, asChief, { action: 'REPORTS_READ', ...byChief, details: { state: 'OPEN' } });
    await act(READ, {}, asAnn, {
      action: 'REPORTS_READ',
      outcome: 'REFUSED',
      ...byAnn,
      details: { state: 'OPEN', reason: 'NOT_ALLOWED' },
    });
    const resolving = { reportId, resolution: 'DISMISSED' };
    await act('resolveReport', resolving, asAnn, {
      action: 'REPORT_RESOLVED',
      outcome: 'REFUSED',
      ...byAnn,
      details: { ...resolving, reason: 'NOT_ALLOWED' },
    });
    await act('resolveReport', resolving, asChief, {
      action: 'REPORT_RESOLVED',
      ...byChief,
      subjectId: ann.id,
      conversationId: direct,
      details: resolving,
    });
    await act('resolveReport', resolving, asChief);

    // ── the whole service ──
    const onDan = { subjectId: dan.user.id };
    const userId = dan.user.id;
    await act('suspendUser', { userId: chief.id }, asDan, {
      action: 'USER_SUSPENDED',
      outcome: 'REFUSED',
      actorId: userId,
      sessionId: danSession,
      subjectId: chief.id,
      details: { reason: 'NOT_ALLOWED' },
    });
    await act('setServiceRole', { userId, role: 'ADMIN' }, asDan, {
      action: 'SERVICE_ROLE_CHANGED',
      outcome: 'REFUSED',
      actorId: userId,
      sessionId: danSession,
      ...onDan,
      details: { role: 'ADMIN', reason: 'NOT_ALLOWED' },
    });
    await act('setServiceRole', { userId, role: 'MODERATOR' }, asChief, {
      action: 'SERVICE_ROLE_CHANGED',
      ...byChief,
      ...onDan,
      details: { role: ['USER', 'MODERATOR'] },
    });
    await act('setServiceRole', { userId, role: 'MODERATOR' }, asChief);
    await act('suspendUser', { userId }, asChief, {
      action: 'USER_SUSPENDED',
      ...byChief,
      ...onDan,
      details: { sessionsEnded: '1' },
    });
    await act('suspendUser', { userId }, asChief);
    await act(
      'login',
      { ...login, password: 'another password' },
      {},
      {
        action: 'SIGNED_IN',
        outcome: 'REFUSED',
        ...onDan,
        details: { by: 'PASSWORD', reason: 'SUSPENDED' },
      },
    );
    await act('unsuspendUser', { userId }, asChief, { action: 'USER_UNSUSPENDED', ...byChief, ...onDan });

    // ── the service key, and an identity provider ──
    const asKey = { token: SERVICE_KEY };
    const { viewer: bot } = (
      await fromSomewhere().ask(node.url, '{ viewer { user { id } sessions { id } } }', {}, SERVICE_KEY)
    ).data;
    for (const row of await rows({ subjectId: rowId(bot.user.id) })) before.add(row.id);
    const byBot = { actorId: bot.user.id, sessionId: bot.sessions[0].id };
    const fresh = { username: `eve.${mode}`, displayName: 'Eve', externalId: `eve-${mode}` };
    const { user: eve } = await act(
      'createUser',
      fresh,
      { ...asKey, selection: 'user { id }' },
      {
        action: 'ACCOUNT_CREATED',
        ...byBot,
        subjectId: any,
        details: { by: 'SERVICE_KEY' },
      },
    );
    await act('createUser', fresh, asKey);
    await act('createUser', fresh, asAnn, {
      action: 'ACCOUNT_CREATED',
      outcome: 'REFUSED',
      ...byAnn,
      details: { by: 'SERVICE_KEY', reason: 'NOT_ALLOWED' },
    });
    const access = await act(
      'createAccessToken',
      { userId: eve.id },
      { ...asKey, selection: 'tokens { accessToken refreshToken }' },
      {
        action: 'ACCESS_TOKEN_CREATED',
        ...byBot,
        subjectId: eve.id,
        details: { sessionId: any },
      },
    );
    await act('createAccessToken', { userId: ann.id }, asKey, {
      action: 'ACCESS_TOKEN_CREATED',
      outcome: 'REFUSED',
      ...byBot,
      subjectId: ann.id,
      details: { reason: 'NOT_ALLOWED' },
    });
    const sub = `fay-${mode}`;
    const iat = Math.floor(Date.now() / 1_000);
    const first = await provider.sign(sub, { preferred_username: `fay.${mode}`, iat: iat - 2 });
    const ME = '{ viewer { user { id } } }';
    await act(
      ME,
      {},
      { token: first },
      { action: 'ACCOUNT_CREATED', subjectId: any, details: { by: 'IDENTITY_PROVIDER' } },
      { action: 'SIGNED_IN', actorId: any, subjectId: any, sessionId: any, details: { by: 'IDENTITY_PROVIDER' } },
    );
    await act(ME, {}, { token: first });
    const second = await provider.sign(sub, {
      preferred_username: `fay.second.${mode}`,
      email: 'fay@example.com',
      iat: iat - 1,
    });
    await act(
      ME,
      {},
      { token: second },
      {
        action: 'ACCOUNT_CHANGED',
        subjectId: any,
        details: { fields: 'username email', by: 'IDENTITY_PROVIDER' },
      },
    );

    // ── the end of sessions ──
    const eves = { selection: TOKENS };
    const renewed = await act('refreshSession', { refreshToken: access.tokens.refreshToken }, eves);
    await act('refreshSession', { refreshToken: renewed.tokens.refreshToken }, eves);
    await act(
      'refreshSession',
      { refreshToken: access.tokens.refreshToken },
      {},
      {
        action: 'REFRESH_TOKEN_REUSED',
        subjectId: eve.id,
        details: { sessionId: any },
      },
    );
    await act('refreshSession', { refreshToken: access.tokens.refreshToken }, {});
    const again = await act('login', { usernameOrEmail: ben.username, password: ben.password }, eves, {
      action: 'SIGNED_IN',
      actorId: ben.id,
      subjectId: ben.id,
      sessionId: any,
      details: { by: 'PASSWORD' },
    });
    const benSession = again.viewer.sessions.find(({ current }: Json) => current).id;
    const bens = { token: ben.token };
    await act('logout', { sessionId: benSession }, bens, {
      action: 'SESSION_ENDED',
      actorId: ben.id,
      subjectId: ben.id,
      sessionId: any,
      details: { sessionId: benSession },
    });
    await act('logout', { sessionId: benSession }, bens);
    await act('deleteAccount', { password: 'not theirs' }, bens, {
      action: 'ACCOUNT_DELETED',
      outcome: 'REFUSED',
      actorId: ben.id,
      subjectId: ben.id,
      sessionId: any,
      details: { reason: 'WRONG_PASSWORD' },
    });
    await act('deleteAccount', { password: ben.password }, bens, {
      action: 'ACCOUNT_DELETED',
      actorId: ben.id,
      subjectId: ben.id,
      sessionId: any,
      details: { sessionsEnded: '1' },
    });
    await act(LOG, {}, asAnn, {
      action: 'AUDIT_LOG_READ',
      outcome: 'REFUSED',
      ...byAnn,
      details: { reason: 'NOT_ALLOWED' },
    });
    await act(LOG, {}, asChief, { action: 'AUDIT_LOG_READ', ...byChief });

    const nothing = {
      outcome: 'DONE',
      actorId: null,
      subjectId: null,
      conversationId: null,
      sessionId: null,
      details: {},
    };
    const story = (await logOf({}, { first: 100 }, chief)).nodes
      .filter(({ id }) => !before.has(rowId(id)))
      .map(({ action, outcome, actorId, subjectId, conversationId, sessionId, address, requestId, details }) => ({
        action,
        outcome,
        actorId,
        subjectId,
        conversationId,
        sessionId,
        address,
        requestId,
        details: Object.fromEntries(
          details.map(({ name, value, oldValue }: Json) => [name, oldValue === null ? value : [oldValue, value]]),
        ),
      }));
    const byAddress = (list: Json[]) =>
      list
        .map((entry) => ({ ...nothing, ...entry }))
        .sort((one, two) =>
          `${one.address} ${one.action} ${one.subjectId}`.localeCompare(
            `${two.address} ${two.action} ${two.subjectId}`,
          ),
        );
    expect(byAddress(story)).toEqual(byAddress(expectedEntries));

    // The entries contain no names, texts or secrets.
    const kept = JSON.stringify(await rows({ action: { not: 'SETTINGS_CHANGED' } })).toLowerCase();
    const passwords = [
      ann.password,
      input.password,
      'my secret',
      'another password',
      'a third',
      'a wrong one',
      'not theirs',
    ];
    const names = [ann.username, input.username, fresh.username, 'Eve"', `fay.${mode}`, 'example.com'];
    const others = [SERVICE_KEY, 'business', 'No such thing', 'nobody’s rights', access.tokens.refreshToken];
    const given = [...passwords, ...names, ...others].filter((each) => kept.includes(each.toLowerCase()));
    expect(given).toEqual([]);
  });

  itOnce('contains the address of a client over WebSocket', async () => {
    const person = await register(node.url, 'socketed');
    const address = '2001:db8::77';
    class Forwarded extends WebSocket {
      constructor(url: string, protocols: string) {
        super(url, protocols, { headers: { 'x-forwarded-for': address } });
      }
    }
    const client = createClient({
      url: socketUrl(other.url),
      webSocketImpl: Forwarded,
      retryAttempts: 0,
      connectionParams: { authorization: person.token },
    });
    await new Promise<void>((resolve) => {
      client.subscribe(
        { query: mutation('logout', 'sessionId', 'LogoutInput') },
        { next: () => {}, error: () => resolve(), complete: resolve },
      );
    });
    expect(await rows({ address })).toMatchObject([
      { action: 'SESSION_ENDED', actorId: rowId(person.id), refused: false },
    ]);
    await client.dispose();
  });

  it("cannot be changed by the service's own database user", async () => {
    const { db } = node.deps.database;
    const kept = await rows();
    const id = kept[0]?.id ?? '';
    const changes = {
      UPDATE: () => db.$executeRaw`UPDATE audit_entries SET action = 'SIGNED_IN'`,
      'UPDATE of nothing': () => db.$executeRaw`UPDATE audit_entries SET action = 'SIGNED_IN' WHERE false`,
      upsert: () =>
        db.$executeRaw`INSERT INTO audit_entries (id, action) VALUES (${id}::uuid, 'X') ON CONFLICT (id) DO UPDATE SET action = 'X'`,
      DELETE: () => db.$executeRaw`DELETE FROM audit_entries`,
      'DELETE of one': () => db.$executeRaw`DELETE FROM audit_entries WHERE id = ${id}::uuid`,
      'DELETE of nothing': () => db.$executeRaw`DELETE FROM audit_entries WHERE false`,
      TRUNCATE: () => db.$executeRaw`TRUNCATE audit_entries`,
      'the client': () => db.auditEntry.updateMany({ data: { actorId: null } }),
      'the client, DELETE': () => db.auditEntry.deleteMany(),
    };
    for (const [name, change] of Object.entries(changes)) {
      await expect(change(), name).rejects.toThrow('append-only');
    }
    expect(await rows({ id: { in: kept.map((row) => row.id) } })).toEqual(kept);
  });

  it('is only trimmed by age, oldest entries first, never of the last 30 days, and records it', async () => {
    const own = await makePlace(mode);
    const { deps } = await own.start({ AUDIT_RETENTION: '60d' });
    const { db } = deps.database;
    const old = (days: number) => ({ id: newId(), action: 'SIGNED_IN', at: new Date(Date.now() - days * DAY_MS) });
    const ages = [100, 90, 80, 61.5, 59, 31, 10].map(old);
    await db.auditEntry.createMany({ data: ages });
    // Neither can a client that knows the setting that the trim uses.
    const remove = (where: object) =>
      deps.database.transaction(async (tx) => {
        await tx.$executeRaw`SELECT set_config('parley.audit_trim', 'on', true)`;
        await tx.auditEntry.deleteMany({ where });
      });
    await expect(remove({ id: ages[1]?.id })).rejects.toThrow('from the oldest on');
    await expect(remove({})).rejects.toThrow('30 days at least');
    await expect(db.$queryRaw`SELECT trim_audit_entries(interval '1 day', 5000)`).rejects.toThrow('30 days at least');
    const left = async () =>
      (await db.auditEntry.findMany({ where: { action: 'SIGNED_IN' }, orderBy: { at: 'asc' } })).map(({ id }) => id);
    expect(await left()).toEqual(ages.map(({ id }) => id));

    expect(await trimAuditLog(db, deps.config.auditRetentionMs)).toBe(4);
    expect(await left()).toEqual(ages.slice(4).map(({ id }) => id));
    expect(await db.auditEntry.findMany({ where: { action: 'AUDIT_LOG_TRIMMED' } })).toMatchObject([
      {
        actorId: null,
        details: [
          { name: 'entries', value: '4' },
          { name: 'until', value: ages[3]?.at.toISOString() },
        ],
      },
    ]);
    // At most about once a day, so that trimming does not fill the log.
    await db.auditEntry.createMany({ data: [old(60.5)] });
    expect(await trimAuditLog(db, deps.config.auditRetentionMs)).toBe(0);
    expect(await left()).toHaveLength(4);
  });

  itOnce('can only be read by admins of the service', async () => {
    const [user, moderator] = await registerAll(node.url, 'user', 'moderator');
    await attempt(admin, 'setServiceRole', { userId: moderator.id, role: 'MODERATOR' });
    for (const token of [user.token, moderator.token, SERVICE_KEY]) {
      const { data, errors } = await fromSomewhere().ask(node.url, LOG, {}, token);
      expect([data?.auditLog, errors?.[0]?.extensions.code]).toEqual([null, 'FORBIDDEN']);
    }
    expect((await fromSomewhere().ask(node.url, LOG)).errors?.[0]?.extensions.code).toBe('UNAUTHENTICATED');
  });

  it('is filtered by actor, subject, action, address and time, and paginated latest first', async () => {
    const [one, two] = await registerAll(node.url, 'one', 'two');
    const group = await createGroup(one, [two]);
    const from = fromSomewhere();
    const roles = ['ADMIN', 'MEMBER', 'OWNER', 'ADMIN', 'MEMBER'];
    for (const role of roles) {
      await from.ask(
        node.url,
        mutation('setMemberRole'),
        { input: { conversationId: group, userId: two.id, role } },
        one.token,
      );
    }
    const ids = async (filter: object) => (await logOf(filter)).nodes.map(({ id }) => id);
    const { nodes } = await logOf({ conversationId: group });
    expect(nodes.map(({ details }) => details[0].value)).toEqual(roles.toReversed());
    expect(nodes[0]).toMatchObject({
      actor: { id: one.id, username: one.username },
      subject: { id: two.id },
      count: 1,
    });
    const all = nodes.map(({ id }) => id);
    expect(await ids({ actorId: one.id, action: 'MEMBER_ROLE_CHANGED' })).toEqual(all);
    expect(await ids({ subjectId: two.id, action: 'MEMBER_ROLE_CHANGED' })).toEqual(all);
    expect(await ids({ address: from.address })).toEqual(all);
    expect(await ids({ conversationId: group, outcome: 'DONE' })).toEqual(all);
    expect(await ids({ conversationId: group, outcome: 'REFUSED' })).toEqual([]);
    expect(await ids({ conversationId: group, action: 'MEMBER_REMOVED' })).toEqual([]);
    expect(await ids({ conversationId: group, actorId: two.id })).toEqual([]);
    const times = { since: nodes[3].at, until: nodes[1].at };
    const within = nodes.filter(({ at }) => at >= times.since && at < times.until).map(({ id }) => id);
    expect(within.length).toBeGreaterThan(0);
    expect(await ids({ conversationId: group, ...times })).toEqual(within);

    const paged: string[] = [];
    const filter = { conversationId: group };
    for (let after: string | null = null, more = true; more; ) {
      const page: { nodes: Json[]; pageInfo: Json } = await logOf(filter, { first: 2, after });
      paged.push(...page.nodes.map(({ id }) => id));
      ({ endCursor: after, hasNextPage: more } = page.pageInfo);
    }
    expect(paged).toEqual(all);
    const { pageInfo } = await logOf(filter, { first: 1 });
    const wrong = async (variables: object) => {
      const { errors } = await admin.request(LOG, variables);
      return [errors?.[0]?.extensions.code, errors?.[0]?.extensions.field];
    };
    expect(await wrong({ filter, first: 101 })).toEqual(['BAD_USER_INPUT', 'first']);
    expect(await wrong({ filter: {}, after: pageInfo.endCursor })).toEqual(['BAD_USER_INPUT', 'after']);
    expect(await wrong({ filter: { actorId: group } })).toEqual(['BAD_USER_INPUT', 'filter.actorId']);
    expect(await wrong({ filter: { address: 'x\0' } })).toEqual(['BAD_USER_INPUT', 'filter.address']);
    const since = '-200000-01-01T00:00:00Z';
    expect(await wrong({ filter: { since } })).toEqual(['BAD_USER_INPUT', 'filter.since']);
  });

  it.skipIf(mode === 'embedded')('uses an index for each of these filters', async () => {
    const [user, conversation] = [encodeGlobalId('User', newId()), encodeGlobalId('Conversation', newId())];
    const filters = {
      '': {},
      actor_id_: { actorId: user },
      subject_id_: { subjectId: user },
      conversation_id_: { conversationId: conversation },
      action_: { action: 'SIGNED_IN' },
      address_: { address: '::1' },
    };
    for (const [columns, filter] of Object.entries(filters)) {
      const statements = await statementsOf(node, () => logOf(filter));
      const sql = statements.find((text) => text.startsWith('SELECT') && text.includes('"audit_entries"')) ?? '';
      const parameters = new Set(sql.match(/\$\d+/g));
      const plan = await node.deps.database.transaction(async (tx) => {
        // Makes the planner use an index wherever possible, whatever the size of the table.
        for (const off of ['enable_seqscan', 'enable_sort', 'enable_bitmapscan']) {
          await tx.$executeRawUnsafe(`SET LOCAL ${off} = off`);
        }
        await tx.$executeRaw`SET LOCAL plan_cache_mode = force_generic_plan`;
        await tx.$executeRawUnsafe(`PREPARE asked AS ${sql}`);
        const given = [...parameters].map(() => 'NULL').join();
        const lines = await tx.$queryRawUnsafe<{ 'QUERY PLAN': string }[]>(`EXPLAIN EXECUTE asked (${given})`);
        await tx.$executeRaw`DEALLOCATE asked`;
        return lines.map((line) => line['QUERY PLAN']).join('\n');
      });
      expect(plan).toContain(`Index Scan Backward using audit_entries_${columns}at_id_idx`);
      expect(plan).not.toContain('Filter');
    }
  });

  itOnce('shows actions that a newer server has recorded as OTHER', async () => {
    const subject = await register(node.url, 'later');
    await node.deps.database.db.auditEntry.create({
      data: {
        id: newId(),
        action: 'TELEPORTED',
        subjectId: rowId(subject.id),
        details: [{ name: 'to', value: 'here', oldValue: null }],
      },
    });
    const filter = { subjectId: subject.id, action: 'OTHER' };
    expect((await logOf(filter)).nodes).toMatchObject([
      {
        action: 'OTHER',
        details: [
          { name: 'action', value: 'TELEPORTED' },
          { name: 'to', value: 'here' },
        ],
      },
    ]);
  });

  it('fails actions that cannot be recorded, but denied actions remain denied', async () => {
    const own = await makePlace(mode);
    const { url, deps } = await own.start();
    const [chief, ana] = await registerAll(url, 'chief', 'ana');
    await deps.database.db.user.update({ where: { id: rowId(chief.id) }, data: { serviceRole: 'ADMIN' } });
    const kept = await deps.database.db.auditEntry.count();
    await deps.database.db
      .$executeRaw`ALTER TABLE audit_entries ADD CONSTRAINT full_up CHECK (action = 'NOTHING') NOT VALID`;
    expect(await attempt(chief, 'suspendUser', { userId: ana.id })).toBe('INTERNAL_SERVER_ERROR');
    const login = { usernameOrEmail: ana.username, password: ana.password };
    expect(await attempt(ana, 'login', login)).toBe('INTERNAL_SERVER_ERROR');
    expect(await attempt(ana, 'login', { ...login, password: 'a wrong one' })).toBe('BAD_USER_INPUT');
    expect(await attempt(ana, 'suspendUser', { userId: chief.id })).toBe('FORBIDDEN');
    expect(await deps.database.db.user.findUnique({ where: { id: rowId(ana.id) } })).toMatchObject({
      suspendedAt: null,
    });
    expect(await deps.database.db.session.count()).toBe(2);
    await deps.database.db.$executeRaw`ALTER TABLE audit_entries DROP CONSTRAINT full_up`;
    expect(await attempt(chief, 'suspendUser', { userId: ana.id })).toEqual({ __typename: 'SuspendUserPayload' });
    // The denied actions are recorded eventually.
    const denied = () => deps.database.db.auditEntry.count({ where: { refused: true } });
    await eventually('the denied actions are recorded', async () => (await denied()) === 2);
    expect(await deps.database.db.auditEntry.count()).toBe(kept + 3);
  });

  itOnce('aggregates a flood of denied actions into entries with their number', async () => {
    const own = await makePlace(mode);
    const flooded = await own.start({ AUDIT_REFUSALS_MAX: '3', TRUSTED_PROXIES: 'loopback' });
    const ana = await register(flooded.url, 'ana');
    const from = fromSomewhere();
    const login = (by: From, usernameOrEmail: string) =>
      by.ask(flooded.url, mutation('login'), { input: { usernameOrEmail, password: 'a wrong one' } });
    // One account from many addresses, then many accounts from one address.
    for (let count = 0; count < 8; count += 1) await login(fromSomewhere(), ana.username);
    for (let count = 0; count < 9; count += 1) await login(from, `nobody${count}`);
    await flooded.stop();
    const { deps } = await own.start();
    const refused = await deps.database.db.auditEntry.findMany({ where: { refused: true } });
    const brief = refused.map(({ subjectId, address, count }) => [
      subjectId,
      address === from.address ? 'one' : address && 'another',
      count,
    ]);
    const anas = rowId(ana.id);
    expect(brief.sort()).toEqual(
      [
        ...[1, 2, 3].map(() => [anas, 'another', 1]),
        ...[1, 2, 3].map(() => [null, 'one', 1]),
        [anas, null, 5],
        [null, 'one', 6],
      ].sort(),
    );
  });

  itOnce('contains rate-limited sign-ins as denied, without an account', async () => {
    const rates = ['RATE_SIGN_IN_PER_ADDRESS', 'RATE_REGISTRATION_PER_ADDRESS', 'RATE_PASSWORD_RESET_PER_ADDRESS'];
    const limits = { RATE_LIMITS: 'on', ...Object.fromEntries(rates.map((name) => [name, '1/10m'])) };
    const { url, deps } = await (await makePlace(mode)).start(limits);
    const { db } = deps.database;
    const ana = await register(url, 'ana');
    const login = (password: string) => attempt(ana, 'login', { usernameOrEmail: ana.username, password });
    expect([await login('a wrong one'), await login(ana.password)]).toEqual(['BAD_USER_INPUT', 'RATE_LIMITED']);
    const newcomer = { username: 'newcomer', email: 'newcomer@example.com', password: 'a password' };
    expect(await attempt(ana, 'register', newcomer)).toBe('RATE_LIMITED');
    const ask = () => attempt(ana, 'requestPasswordReset', { email: ana.email });
    expect([await ask(), await ask()]).toEqual([expect.any(Object), 'RATE_LIMITED']);
    const recorded = () => db.auditEntry.findMany({ where: { refused: true } });
    await eventually('all are recorded', async () => (await recorded()).length === 4);
    const reasonOf = (details: Json) => details.find(({ name }: Json) => name === 'reason').value;
    const brief = (await recorded()).map(({ action, subjectId, details }) => [action, subjectId, reasonOf(details)]);
    expect(brief.sort()).toEqual([
      ['ACCOUNT_CREATED', null, 'RATE_LIMITED'],
      ['PASSWORD_RESET_REQUESTED', null, 'RATE_LIMITED'],
      ['SIGNED_IN', null, 'RATE_LIMITED'],
      ['SIGNED_IN', rowId(ana.id), 'WRONG_PASSWORD'],
    ]);
  });

  itOnce('records a changed setting once, without the values of secrets', async () => {
    const started = await (await makePlace(mode)).start({ PORT: '0', GROUPS_MAX: '7' });
    const { database } = started.deps;
    const { db } = database;
    const recorded = async () => {
      const entries = await db.auditEntry.findMany({
        where: { action: 'SETTINGS_CHANGED' },
        orderBy: [{ at: 'asc' }, { id: 'asc' }],
      });
      const details = entries.at(-1)?.details as { name: string; value: string | null; oldValue: string | null }[];
      return { count: entries.length, changed: details.map(({ name, value, oldValue }) => [name, oldValue, value]) };
    };
    const atStart = await recorded();
    expect(atStart.count).toBe(1);
    expect(atStart.changed).toContainEqual(['GROUPS_MAX', null, '7']);
    // Settings that differ between nodes are not recorded.
    expect(atStart.changed.map(([name]) => name)).not.toContain('PORT');

    /** Starts several nodes with these settings at the same time. */
    const start = async (env: Record<string, string>, nodes = 2) => {
      const config = readConfig(env);
      await Promise.all(Array.from({ length: nodes }, () => recordSettings({ config, database })));
      return recorded();
    };
    const secret = 'hunter2-hunter2-hunter2-hunter2-hunter2';
    const first = await start({ SERVICE_KEY: secret });
    expect(first.count).toBe(2);
    expect(first.changed).toContainEqual(['GROUPS_MAX', '7', null]);
    expect(first.changed).toContainEqual(['SERVICE_KEY', null, 'set']);
    // Unchanged settings, settings of one node, and explicit defaults.
    const same = await start({ SERVICE_KEY: secret, LOG_LEVEL: 'silent', DATA_DIR: 'elsewhere', PAGE_MAX: '100' });
    expect(same.count).toBe(2);
    const second = await start({ SERVICE_KEY: `${secret}2`, PAGE_MAX: '50' });
    expect(second).toEqual({
      count: 3,
      changed: [
        ['SERVICE_KEY', null, 'changed'],
        ['PAGE_MAX', null, '50'],
      ],
    });
    // Settings of a newer version remain stored.
    const { settings } = await db.seenSettings.findFirstOrThrow();
    await db.seenSettings.update({ where: { id: 1 }, data: { settings: { ...(settings as object), NEWER: 'on' } } });
    const third = await start({ PAGE_MAX: '60', SMTP_URL: `smtp://chat:${secret}@mail`, MAIL_FROM: 'chat@mail' });
    expect(third.count).toBe(4);
    expect(third.changed.sort()).toEqual([
      ['MAIL_FROM', null, 'chat@mail'],
      ['PAGE_MAX', '50', '60'],
      ['SERVICE_KEY', null, 'unset'],
      ['SMTP_URL', null, 'set'],
    ]);
    const kept = await db.seenSettings.findFirstOrThrow();
    expect(kept.settings).toMatchObject({ NEWER: 'on', PAGE_MAX: '60' });
    expect(JSON.stringify([kept, await db.auditEntry.findMany()])).not.toContain('hunter2');
  });

  itOnce('records when a start ends the sessions of a previous service key', async () => {
    const own = await makePlace(mode);
    const started = await own.start({ SERVICE_KEY });
    const from = fromSomewhere();
    const made = await from.ask(
      started.url,
      mutation('createUser', 'user { id }'),
      { input: { username: 'gil', displayName: 'Gil', externalId: 'gil' } },
      SERVICE_KEY,
    );
    const { id: userId } = made.data.createUser.user;
    for (let count = 0; count < 2; count += 1)
      await from.ask(started.url, mutation('createAccessToken'), { input: { userId } }, SERVICE_KEY);
    await started.stop();
    const { deps } = await own.start();
    expect(await deps.database.db.auditEntry.findMany({ where: { action: 'KEY_SESSIONS_ENDED' } })).toMatchObject([
      { actorId: null, address: null, details: [{ name: 'sessionsEnded', value: '2' }] },
    ]);
  });

  it('keeps its entries after an account and its rows are deleted', async () => {
    const gone = await register(node.url, 'gone');
    const id = rowId(gone.id);
    expect(await rows({ actorId: id })).toHaveLength(1);
    await node.deps.database.db.user.delete({ where: { id } });
    expect((await logOf({ actorId: gone.id })).nodes).toMatchObject([
      { action: 'ACCOUNT_CREATED', actorId: gone.id, actor: null, subjectId: gone.id, subject: null },
    ]);
  });

  itOnce('executes no statements for sending and reading', async () => {
    const [one, two] = await registerAll(node.url, 'busy', 'reader');
    const group = await createGroup(one, [two]);
    const theirs = { actorId: { in: [rowId(one.id), rowId(two.id)] } };
    const before = await rows(theirs);
    const statements = await statementsOf(node, async () => {
      const { seq } = await send(one, group, 'hello');
      await attempt(two, 'markRead', { conversationId: group, seq });
      await attempt(two, 'setTyping', { conversationId: group, isTyping: true });
      await attempt(two, 'blockUser', { userId: one.id });
      await attempt(two, 'addContact', { userId: admin.id });
      await two.ask('{ viewer { user { id } conversations { nodes { id } } } }');
    });
    // Entries of earlier tests can be stored late, so that their inserts do not count.
    expect(await rows(theirs)).toEqual(before);
    expect(before).toHaveLength(2);
    expect(statements.filter((sql) => sql.includes('audit_entries') && !sql.startsWith('INSERT'))).toEqual([]);
  });
});

describe('entries that are stored after the response', () => {
  const stored: Json[] = [];
  const db = (work = async () => {}) =>
    ({
      auditEntry: {
        createMany: async ({ data }: Json) => {
          await work();
          stored.push(...data);
        },
      },
    }) as never;

  it('are limited per window, and in total', async () => {
    stored.length = 0;
    const logger = createAuditLogger({ db: db(), max: 2, windowMs: 200, log: createLog('silent') });
    const note = (address: string, userId = newId()) =>
      withRequest({ id: 'r', address }, () => logger.record({ action: 'SIGNED_IN', actor: { userId } }, 'refused'));
    for (let count = 0; count < 5; count += 1) note('::1');
    await eventually('the window is over', () => stored.some(({ count }) => count === 3));
    for (let count = 0; count < 100; count += 1) note(`10.0.0.${count}`);
    await logger.close();
    const counts = stored.map(({ count = 1, address = null }) => [address, count]);
    expect(counts.slice(0, 3)).toEqual([
      ['::1', 1],
      ['::1', 1],
      ['::1', 3],
    ]);
    // Twenty times the limit of one account, and an entry with the number of the others.
    expect(counts.slice(3)).toHaveLength(41);
    expect(counts.at(-1)).toEqual([null, 60]);
  });

  it('contain no characters that the database rejects', async () => {
    stored.length = 0;
    const logger = createAuditLogger({ db: db(), max: 2, log: createLog('silent') });
    const text = `${'x'.repeat(198)}\0😀`;
    logger.record({ action: 'AUDIT_LOG_READ', details: { text } }, 'refused');
    await logger.close();
    expect(stored[0]?.details).toEqual([{ name: 'text', value: `${'x'.repeat(198)}\ufffd\ufffd`, oldValue: null }]);
  });

  it('are retried if the database fails, and stored once', async () => {
    stored.length = 0;
    let failures = 1;
    const failing = db(async () => {
      failures -= 1;
      if (failures >= 0) throw new Error('the database is away');
    });
    const logger = createAuditLogger({ db: failing, max: 2, log: createLog('silent') });
    logger.record({ action: 'SIGNED_IN' }, 'refused');
    await eventually('the entry is stored', () => stored.length === 1);
    await logger.close();
    expect(stored).toMatchObject([{ action: 'SIGNED_IN', refused: true }]);
  });
});

describe('docs/AUDIT.md', () => {
  it('has a row for every action, with the description of the schema', () => {
    const docs = readFileSync(new URL('../../docs/AUDIT.md', import.meta.url), 'utf8');
    const listed = [...docs.matchAll(/^\| `([A-Z_]+)` \| (.+?) \| (.+?) \|$/gm)].map(([, name, text]) => [name, text]);
    expect(Object.fromEntries(listed)).toEqual(auditActions.of({ features }));
  });
});
