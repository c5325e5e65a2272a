import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/app/config.js';
import { newId } from '../../src/core/ids.js';
import { isRelayOnly } from '../../src/domain/call/call.policy.js';
import { hasTurn } from '../../src/domain/call/call.settings.js';
import { iceServersOf } from '../../src/domain/call/ice-servers.js';
import { createSecrets } from '../../src/infra/auth/secrets.js';
import { accept, leave, start } from '../support/calls.js';
import { type Json, type Person, registerAll } from '../support/client.js';
import { anyMode, sharedNode } from '../support/place.js';
import { attempt, createGroup, openDirect } from '../support/talk.js';

const TURN = { TURN_URLS: 'stun:127.0.0.1:3478,turn:127.0.0.1:3478?transport=udp', TURN_SECRET: 's'.repeat(32) };
const SETTINGS = { ...TURN, TURN_CREDENTIAL_TTL: '2h' };
const ICE_SERVERS = '{ viewer { iceServers { urls username credential expiresAt } } }';
const serversOf = async (person: Person): Promise<Json[]> => (await person.ask(ICE_SERVERS)).viewer.iceServers;
const node = () => sharedNode(anyMode, SETTINGS);

describe('the servers of calls', () => {
  it('are none by default', () => {
    const config = readConfig({ DATA_DIR: '.data' });
    expect(hasTurn(config)).toBe(false);
    const secrets = createSecrets({ secret: 's'.repeat(32) });
    expect(iceServersOf({ config, secrets }, { userId: newId() })).toEqual([]);
  });

  it('have credentials for TURN that differ for each user, expire, and do not contain the user', async () => {
    const { url } = await node();
    const [ana, bob] = await registerAll(url, 'ana', 'bob');
    const [stun, turn] = await serversOf(ana);
    expect(stun).toEqual({ urls: ['stun:127.0.0.1:3478'], username: null, credential: null, expiresAt: null });
    expect(turn.urls).toEqual(['turn:127.0.0.1:3478?transport=udp']);
    const [expires = '', name = ''] = turn.username.split(':');
    expect(Number(expires) * 1_000).toBe(Date.parse(turn.expiresAt));
    expect(Math.abs(Number(expires) * 1_000 - Date.now() - 2 * 3_600_000)).toBeLessThan(60_000);
    // As coturn computes it (use-auth-secret).
    expect(turn.credential).toBe(createHmac('sha1', TURN.TURN_SECRET).update(turn.username).digest('base64'));
    expect(name).toMatch(/^[\w-]{22}$/);
    expect((await serversOf(ana))[1].username).toContain(name);
    expect((await serversOf(bob))[1].username).not.toContain(name);
    expect((await ana.ask('{ serverInfo { features } }')).serverInfo.features).toContain('turn');
  });

  it.each([
    [{ TURN_URLS: TURN.TURN_URLS }, 'TURN_SECRET'],
    [{ ...TURN, TURN_SECRET: 'short' }, 'TURN_SECRET'],
    [{ TURN_URLS: 'https://example.com' }, 'TURN_URLS'],
    [{ CALL_RELAY: 'always', TURN_URLS: 'stun:127.0.0.1:3478' }, 'CALL_RELAY'],
  ])('are checked: %o', (env, name) => {
    expect(() => readConfig({ DATA_DIR: '.data', ...env })).toThrow(name);
  });
});

describe('calls use TURN servers only', () => {
  const isCallRelayOnly = async (person: Person, conversationId: string) => {
    const { call, partyId } = await start(person, conversationId);
    await leave(person, call.id, partyId);
    return call.relayOnly;
  };

  it('by default for users who do not have each other as contacts', async () => {
    const { url } = await node();
    const [ana, bob] = await registerAll(url, 'ana', 'bob');
    const direct = await openDirect(ana, bob);
    expect(await isCallRelayOnly(ana, direct)).toBe(true);
    await attempt(ana, 'addContact', { userId: bob.id });
    expect(await isCallRelayOnly(bob, direct)).toBe(true);
    await attempt(bob, 'addContact', { userId: ana.id });
    expect(await isCallRelayOnly(bob, direct)).toBe(false);
  });

  it('in a group as soon as a stranger joins', async () => {
    const { url } = await node();
    const [ana, bob, carol] = await registerAll(url, 'ana', 'bob', 'carol');
    for (const [one, other] of [
      [ana, bob],
      [bob, ana],
      [ana, carol],
      [carol, ana],
    ] as const)
      await attempt(one, 'addContact', { userId: other.id });
    const { call } = await start(ana, await createGroup(ana, [bob, carol]));
    expect(call.relayOnly).toBe(false);
    expect((await accept(bob, call.id)).call.relayOnly).toBe(false);
    expect((await accept(carol, call.id)).call.relayOnly).toBe(true);
  });

  it.each([
    ['always', TURN, true],
    ['off', TURN, false],
    // Such calls could not connect.
    ['strangers', {}, false],
  ])('according to CALL_RELAY=%s with %o', (CALL_RELAY, env, expected) => {
    const config = readConfig({ DATA_DIR: '.data', ...env, CALL_RELAY });
    expect(isRelayOnly(config, false)).toBe(expected);
    expect(isRelayOnly(config, true)).toBe(CALL_RELAY === 'always');
  });
});
