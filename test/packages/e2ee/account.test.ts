import { describe, expect, it } from 'vitest';
import { fromBase64Url } from '../../../packages/e2ee/src/bytes.js';
import type { AccountKeys } from '../../../packages/e2ee/src/identity.js';
import { memoryStorage } from '../../../packages/e2ee/src/index.js';
import { openEpochKey } from '../../../packages/e2ee/src/recovery.js';
import { someOf } from '../../support/exhaustive.js';
import { devicesOf, openClient, recover, scene, setUp, textOf } from './clients.js';
import { createFakeServer } from './fake-server.js';

const lost = () => Object.assign(new Error('lost'), { code: 'NETWORK' });

describe('a new identity', () => {
  // The requests of `setUp`.
  const losses = Array.from({ length: 20 }, (_, index) => ({ failing: index >> 1, isAnswered: index % 2 === 1 }));
  for (const { failing, isAnswered } of someOf(losses, 5)) {
    const what = isAnswered ? 'the answer' : 'request';
    it(`removes the former devices, also if ${what} ${failing} is lost and the device crashes`, async () => {
      const { server, alice, bob, id, messages } = await scene();
      await recover(server, bob);
      await alice.e2ee.verifyIdentity('bob');
      const former = devicesOf(server, 'bob');
      const storage = memoryStorage();
      let count = 0;
      const execute = server.executeAs('bob');
      const first = await openClient(server, 'bob', {
        storage,
        execute: async (document, variables) => {
          const isFailing = count++ === failing;
          if (isFailing && !isAnswered) throw lost();
          const answer = await execute(document, variables);
          if (isFailing) throw lost();
          return answer;
        },
      });
      await first.e2ee.setUp({ replaceIdentity: true }).catch((error) => expect(error.code).toBe('NETWORK'));
      const again = await openClient(server, 'bob', { storage });
      if (!(await again.e2ee.start())) await again.e2ee.setUp({ replaceIdentity: true });
      expect(devicesOf(server, 'bob')).toHaveLength(1);
      expect(former).not.toContain(devicesOf(server, 'bob')[0]);
      // The devices of the former identity keep nobody from sending.
      await again.e2ee.conversation(id).send({ text: 'new' });
      const refused = alice.e2ee.conversation(id).send({ text: 'before it is accepted' });
      await expect(refused).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
      await alice.e2ee.acceptIdentity('bob');
      await alice.e2ee.conversation(id).send({ text: 'to the new identity' });
      expect(await textOf(again, messages.at(-1))).toBe('to the new identity');
      await expect(bob.e2ee.start()).rejects.toMatchObject({ code: expect.stringMatching(/NOT_SET_UP|IDENTITY/) });
      // What the former device could read, it still can.
      expect(await textOf(bob, messages[0])).toBe('from Alice');
    });
  }

  const crashes = Array.from({ length: 24 }, (_, index) => ({ failing: index >> 1, isWritten: index % 2 === 1 }));
  for (const { failing, isWritten } of someOf(crashes, 6)) {
    it(`is that of the user also if the device crashes ${isWritten ? 'after' : 'before'} write ${failing}`, async () => {
      const { server, id, messages } = await scene();
      const storage = memoryStorage();
      let count = 0;
      const crashing: typeof storage = {
        ...storage,
        async write(changes, guard) {
          if (count++ < failing) return storage.write(changes, guard);
          if (count === failing + 1 && isWritten) await storage.write(changes, guard);
          throw lost();
        },
      };
      const first = await openClient(server, 'bob', { storage: crashing });
      await first.e2ee.setUp({ replaceIdentity: true }).catch((error) => expect(error.code).toBe('NETWORK'));
      const again = await openClient(server, 'bob', { storage });
      if (!(await again.e2ee.start())) await again.e2ee.setUp({ replaceIdentity: true });
      await again.e2ee.conversation(id).send({ text: 'new' });
      expect(await textOf(again, messages.at(-1))).toBe('new');
      expect(await again.e2ee.identity('bob')).toMatchObject({ isVerified: true });
      expect(devicesOf(server, 'bob')).toHaveLength(1);
    });
  }

  it('is refused to a device of the former one that was signed out', async () => {
    const { server, bob } = await scene();
    const [device] = devicesOf(server, 'bob');
    server.endSession(device as string);
    const other = await openClient(server, 'bob');
    await other.e2ee.setUp({ replaceIdentity: true });
    await expect(bob.e2ee.start()).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
    expect(server.devices.get(device as string)?.isSignedOut).toBe(true);
  });
});

describe('two that set up an account at the same time', () => {
  it('are two devices: one is refused, keeps nothing, and can recover', async () => {
    for (const replaceIdentity of [false, true]) {
      const server = createFakeServer();
      if (replaceIdentity) await setUp(server, 'alice');
      const clients = [await openClient(server, 'alice'), await openClient(server, 'alice')] as const;
      const results = await Promise.allSettled(clients.map(({ e2ee }) => e2ee.setUp({ replaceIdentity })));
      expect(results.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      const failed = results.findIndex(({ status }) => status === 'rejected');
      expect(results[failed]).toMatchObject({ reason: { code: 'NOT_SET_UP' } });
      const [loser, winner] = [clients[failed], clients[1 - failed]] as (typeof clients)[number][] as [
        (typeof clients)[number],
        (typeof clients)[number],
      ];
      expect(await loser.storage.list('')).toEqual(new Map());
      expect(await loser.e2ee.start()).toBe(false);
      await loser.e2ee.recover((await winner.e2ee.recoveryKey()) as string);
      expect((await loser.e2ee.identity('alice')).identityKey).toEqual(
        (await winner.e2ee.identity('alice')).identityKey,
      );
      expect(devicesOf(server, 'alice')).toHaveLength(2);
    }
  });

  it('are two tabs, whose locks do not exclude each other: both have the same device', async () => {
    const server = createFakeServer();
    const storage = memoryStorage();
    const tabs = [await openClient(server, 'alice', { storage }), await openClient(server, 'alice', { storage })];
    await Promise.all(tabs.map(({ e2ee }) => e2ee.setUp()));
    expect(devicesOf(server, 'alice')).toHaveLength(1);
    const { keys } = (await storage.get('account')) as { keys: AccountKeys };
    expect(fromBase64Url(server.accounts.get('alice')?.identityKey as string)).toEqual(keys.identity.publicKey);
    const { id, messages } = server.createConversation(['alice']);
    await tabs[0]?.e2ee.conversation(id).enable();
    for (const { e2ee } of tabs) await e2ee.conversation(id).send({ text: 'hello' });
    expect(messages).toHaveLength(2);
  });
});

describe('another recovery key', () => {
  it('of two that are made at the same time, the last one opens the vault', async () => {
    const { server, alice } = await scene();
    const phone = await recover(server, alice);
    await alice.e2ee.forgetRecoveryKey();
    await Promise.all([alice, phone].map(({ e2ee }) => e2ee.changeRecoveryKey()));
    const words = await Promise.all([alice, phone].map(({ e2ee }) => e2ee.recoveryKey()));
    const codes = await Promise.all(
      words.map(async (each) => {
        const other = await openClient(server, 'alice');
        return other.e2ee.recover(each as string).then(
          () => 'OPENED',
          ({ code }) => code,
        );
      }),
    );
    expect(codes.sort()).toEqual(['OPENED', 'WRONG_RECOVERY_KEY']);
  });

  it('can come with another history key, for which others seal from then on, whatever the server names', async () => {
    const { server, alice, bob, conversation, id, messages } = await scene();
    const phone = await recover(server, alice);
    const keysOf = async () => ((await alice.storage.get('account')) as { keys: AccountKeys }).keys;
    const [stolen, named] = [await keysOf(), { ...server.accounts.get('alice') }];
    await alice.e2ee.changeRecoveryKey({ rotateHistoryKey: true });
    const words = (await alice.e2ee.recoveryKey()) as string;
    const renew = async (text: string) => {
      const record = (await bob.storage.get(`group:${id}`)) as object;
      await bob.storage.write({ [`group:${id}`]: { ...record, sent: 1_000 } });
      await bob.e2ee.conversation(id).send({ text });
    };
    await renew('after the theft');
    const { historyKey, signature } = named;
    Object.assign(server.accounts.get('alice') as object, { historyKey, signature });
    await renew('the server names the former key');
    const sealed = conversation.sealed.filter(({ userId }) => userId === 'alice').slice(-2);
    for (const { generation, epoch, sealed: key } of sealed) {
      const place = { conversationId: id, generation, epoch };
      expect(await openEpochKey(stolen, place, fromBase64Url(key))).toBeUndefined();
      expect(await openEpochKey(await keysOf(), place, fromBase64Url(key))).toBeDefined();
    }
    // The other device of the user gets it with the new words.
    Object.assign(server.accounts.get('alice') as object, { historyKey: (await bobsView()).historyKey });
    await expect(phone.e2ee.changeRecoveryKey()).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    expect(await phone.e2ee.start()).toBe(true);
    await phone.e2ee.recover(words);
    expect(((await phone.storage.get('account')) as { keys: AccountKeys }).keys).toEqual(await keysOf());
    const third = await openClient(server, 'alice');
    await third.e2ee.recover(words);
    for (const client of [alice, phone, third]) {
      expect(await textOf(client, messages[1])).toBe('from Bob');
      expect(await textOf(client, messages[2])).toBe('after the theft');
    }

    async function bobsView() {
      const { lists } = (await bob.storage.get('lists:alice')) as { lists: { historyKey: Uint8Array }[] };
      return { historyKey: Buffer.from(lists[0]?.historyKey as Uint8Array).toString('base64url') };
    }
  });
});
