import { describe, expect, it } from 'vitest';
import { type Bytes, randomBytes, toBase64Url } from '../../../packages/e2ee/src/bytes.js';
import { readDeviceList, signDeviceList } from '../../../packages/e2ee/src/device-list.js';
import { type AccountKeys, createAccountKeys } from '../../../packages/e2ee/src/identity.js';
import { memoryStorage } from '../../../packages/e2ee/src/index.js';
import { createTrust } from '../../../packages/e2ee/src/trust.js';
import { type Client, devicesOf, membersOf, openClient, recover, scene, textOf } from './clients.js';
import { createFakeServer } from './fake-server.js';

const accountOf = async ({ storage }: Client) => ((await storage.get('account')) as { keys: AccountKeys }).keys;

/** Alice with a laptop and a phone in a group with Bob, to whom the server can show another list of Alice's devices. */
async function withPhone() {
  const server = createFakeServer();
  const disputed: string[] = [];
  const shown: { list?: string } = {};
  const execute = async (document: string, variables: Record<string, unknown>) => {
    // biome-ignore lint/suspicious/noExplicitAny: the answers of several operations
    const answer = (await server.executeAs('bob')(document, variables)) as any;
    for (const { node } of answer?.node?.members?.edges ?? []) {
      if (node.user.id === 'alice' && shown.list) node.user.deviceList = shown.list;
    }
    return answer;
  };
  const onDevicesDisputed = (userId: string) => disputed.push(userId);
  const given = await scene({}, { execute, onDevicesDisputed }, server);
  const phone = await recover(server, given.alice);
  await phone.e2ee.conversation(given.id).synchronize();
  await given.bob.e2ee.conversation(given.id).send({ text: 'to both' });
  const [, phoneId] = devicesOf(server, 'alice') as [string, string];
  const list = () => server.accounts.get('alice')?.deviceList as string;
  return { ...given, phone, phoneId, shown, disputed, list, execute };
}

describe('a device that its user has removed', () => {
  it('gets nothing any more, also if the server keeps it and lets it join again', async () => {
    const { server, alice, bob, phone, phoneId, conversation, id, messages, disputed } = await withPhone();
    expect(await textOf(phone, messages.at(-1))).toBe('to both');
    await alice.e2ee.removeDevice(phoneId);
    await alice.e2ee.changeRecoveryKey({ rotateHistoryKey: true });
    // The server takes the removal back.
    Object.assign(server.devices.get(phoneId) as object, { isEnded: false });
    await alice.e2ee.conversation(id).send({ text: 'from the laptop' });
    await phone.e2ee.conversation(id).synchronize();
    for (const client of [bob, alice]) {
      await client.e2ee.conversation(id).send({ text: 'secret' });
      expect(await membersOf(client, id)).toEqual(['alice', 'bob']);
      expect(await textOf(client === bob ? alice : bob, messages.at(-1))).toBe('secret');
    }
    await expect(
      textOf(await openClient(server, 'alice', { storage: phone.storage }), messages.at(-1)),
    ).rejects.toThrow();
    expect(conversation.generation).toBe(1);
    expect(disputed).toEqual([]);
  });

  it('is not added to other groups', async () => {
    const { server, alice, bob, phoneId } = await withPhone();
    await alice.e2ee.removeDevice(phoneId);
    Object.assign(server.devices.get(phoneId) as object, { isEnded: false, packages: ['AAAA'] });
    const other = server.createConversation(['bob', 'alice']);
    await bob.e2ee.conversation(other.id).enable();
    await bob.e2ee.conversation(other.id).send({ text: 'hello' });
    expect(await membersOf(bob, other.id)).toEqual(['alice', 'bob']);
    expect(other.devices.has(phoneId)).toBe(false);
  });
});

describe('a server that shows different lists of devices', () => {
  it('is noticed if it withholds a later one, and nobody encrypts for a device of the earlier one', async () => {
    const { server, alice, bob, phone, phoneId, id, messages, shown, disputed, list } = await withPhone();
    shown.list = list();
    await alice.e2ee.removeDevice(phoneId);
    Object.assign(server.devices.get(phoneId) as object, { isEnded: false });
    // Alice's next commit states the version that she has seen.
    const record = (await alice.storage.get(`group:${id}`)) as object;
    await alice.storage.write({ [`group:${id}`]: { ...record, sent: 1_000 } });
    await alice.e2ee.conversation(id).send({ text: 'without the phone' });
    expect(await textOf(bob, messages.at(-1))).toBe('without the phone');
    expect(disputed).toEqual(['alice']);
    await phone.e2ee.conversation(id).synchronize();
    await bob.e2ee.conversation(id).send({ text: 'to nobody' });
    expect(await membersOf(bob, id)).toEqual(['bob']);
    // When the server shows it, Alice takes part again.
    delete shown.list;
    await alice.e2ee.conversation(id).send({ text: 'back' });
    await bob.e2ee.conversation(id).send({ text: 'to the laptop' });
    expect(await membersOf(bob, id)).toEqual(['alice', 'bob']);
    expect(await textOf(alice, messages.at(-1))).toBe('to the laptop');
  });

  it('is noticed if two of them have the same version', async () => {
    const { alice, bob, id, messages, shown, disputed, list } = await withPhone();
    const account = await accountOf(alice);
    const right = await readDeviceList(new Uint8Array(Buffer.from(list(), 'base64url')));
    if (!right) throw new Error('The list of the server is not valid.');
    const fork = await signDeviceList(account, {
      ...right,
      version: right.version + 1,
      previous: right.hash,
      signatureKeys: [],
    });
    shown.list = toBase64Url(fork.bytes);
    const renew = async (client: Client, text: string) => {
      const record = (await client.storage.get(`group:${id}`)) as object;
      await client.storage.write({ [`group:${id}`]: { ...record, sent: 1_000 } });
      await client.e2ee.conversation(id).send({ text });
    };
    await renew(bob, 'with the list of the server');
    await alice.e2ee.start();
    await alice.e2ee.changeRecoveryKey({ rotateHistoryKey: true });
    expect(disputed).toEqual([]);
    await renew(alice, 'with the list of Alice');
    expect(await textOf(bob, messages.at(-1))).toBe('with the list of Alice');
    expect(disputed).toEqual(['alice']);
  });
});

describe('the list of an account', () => {
  it('contains the devices that are registered, also if several are set up at the same time', async () => {
    let now = Date.now();
    const { server, alice } = await scene({ now: () => now });
    const devices = await Promise.all([1, 2, 3].map(() => recover(server, alice)));
    const keysOf = async () => {
      const list = await readDeviceList(
        new Uint8Array(Buffer.from(server.accounts.get('alice')?.deviceList as string, 'base64url')),
      );
      return (list?.signatureKeys ?? []).map((key) => toBase64Url(key)).sort();
    };
    const registered = () =>
      [...server.devices.values()]
        .filter(({ userId, isEnded }) => userId === 'alice' && !isEnded)
        .map(({ signatureKey }) => signatureKey)
        .sort();
    expect(await keysOf()).toEqual(registered());
    // One that was removed without the help of this package, or could be about to be registered.
    server.endDevice(devicesOf(server, 'alice')[1] as string);
    await alice.e2ee.start();
    expect(await keysOf()).toHaveLength(4);
    now += 3_600_001;
    await alice.e2ee.start();
    expect(await keysOf()).toEqual(registered());
    expect(registered()).toHaveLength(3);
    const before = server.accounts.get('alice')?.deviceList;
    for (const { e2ee } of [alice, ...devices]) await e2ee.start().catch(() => undefined);
    expect(server.accounts.get('alice')?.deviceList).toBe(before);
  });

  it('is published with the same content after a lost answer', async () => {
    const { server, alice } = await scene();
    for (const isAnswered of [false, true]) {
      const storage = memoryStorage();
      const contents: unknown[] = [];
      let isLost = true;
      const execute = async (document: string, variables: Record<string, unknown>) => {
        const isList = /mutation E2eeSetDeviceList/.test(document);
        if (isList) contents.push(variables['input']);
        const isFailing = isList && isLost;
        if (isFailing) isLost = false;
        if (isFailing && !isAnswered) throw Object.assign(new Error('lost'), { code: 'NETWORK' });
        const answer = await server.executeAs('alice')(document, variables);
        if (isFailing) throw Object.assign(new Error('lost'), { code: 'NETWORK' });
        return answer;
      };
      const words = (await alice.e2ee.recoveryKey()) as string;
      const first = await openClient(server, 'alice', { storage, execute });
      await expect(first.e2ee.recover(words)).rejects.toMatchObject({ code: 'NETWORK' });
      const again = await openClient(server, 'alice', { storage, execute });
      expect(await again.e2ee.start()).toBe(true);
      expect(contents.length).toBeGreaterThan(1);
      expect(contents[1]).toEqual(contents[0]);
    }
  });

  it('is valid only as the account has signed it', async () => {
    const account = await createAccountKeys();
    const list = await signDeviceList(account, {
      userId: 'alice',
      version: 7,
      historyKey: account.history.publicKey,
      previous: randomBytes(32),
      signatureKeys: [randomBytes(32), randomBytes(32)],
    });
    expect(await readDeviceList(list.bytes)).toEqual(list);
    for (let index = 0; index < list.bytes.length; index++) {
      const changed = new Uint8Array(list.bytes);
      changed[index] = (changed[index] as number) ^ 1;
      expect(await readDeviceList(changed), `byte ${index}`).toBeUndefined();
    }
    for (const length of [0, 10, 64, list.bytes.length - 1]) {
      expect(await readDeviceList(list.bytes.slice(0, length))).toBeUndefined();
    }
  });

  it('has to continue the one that this device has seen', async () => {
    const disputed: string[] = [];
    const trust = createTrust(memoryStorage(), {
      ownUserId: () => undefined,
      onIdentityChanged: () => {},
      onDevicesDisputed: (userId) => disputed.push(userId),
    });
    const account = await createAccountKeys();
    const make = (version: number, previous: Bytes) =>
      signDeviceList(account, {
        userId: 'alice',
        version,
        historyKey: account.history.publicKey,
        previous,
        signatureKeys: [],
      });
    const first = await make(1, new Uint8Array(32));
    const second = await make(2, first.hash);
    for (const each of [first, second]) await trust.learnList(each.bytes, 'alice');
    expect(disputed).toEqual([]);
    await trust.learnList((await make(3, randomBytes(32))).bytes, 'alice');
    expect(disputed).toEqual(['alice']);
    // The latest one counts nevertheless.
    expect((await trust.listOf({ userId: 'alice', identityKey: account.identity.publicKey }))?.version).toBe(3);
  });

  it('cannot be made to look older by a member who invents versions of others', async () => {
    const disputed: string[] = [];
    const trust = createTrust(memoryStorage(), {
      ownUserId: () => undefined,
      onIdentityChanged: () => {},
      onDevicesDisputed: (userId) => disputed.push(userId),
    });
    const [account, evil] = [await createAccountKeys(), await createAccountKeys()];
    const make = (keys: AccountKeys, version: number, previous: Bytes = new Uint8Array(32)) =>
      signDeviceList(keys, {
        userId: 'alice',
        version,
        historyKey: keys.history.publicKey,
        previous,
        signatureKeys: [],
      });
    const first = await make(account, 1);
    await trust.learnList(first.bytes, 'alice');
    for (const head of [await make(evil, 9), { ...first, version: 9 }, { ...first, hash: randomBytes(32) }]) {
      expect(await trust.learnHead(head)).toBe(false);
    }
    expect(await trust.learnHead(first)).toBe(false);
    expect(disputed).toEqual([]);
    const second = await make(account, 2, first.hash);
    expect(await trust.learnHead(second)).toBe(true);
    expect(await trust.learnHead(second, true)).toBe(true);
    expect(disputed).toEqual(['alice']);
    await trust.learnList(second.bytes, 'alice');
    expect(await trust.learnHead(second)).toBe(false);
    // An earlier one, or one in the name of another user, changes nothing.
    await trust.learnList(first.bytes, 'alice');
    await trust.learnList((await make(account, 3, second.hash)).bytes, 'bob');
    expect((await trust.listOf({ userId: 'alice', identityKey: account.identity.publicKey }))?.version).toBe(2);
  });
});
