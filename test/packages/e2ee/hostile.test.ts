import { describe, expect, it } from 'vitest';
import { decryptData } from '../../../packages/e2ee/src/adapters/decrypt.js';
import { fromBase64Url, randomBytes, toBase64Url } from '../../../packages/e2ee/src/bytes.js';
import { openContent, sealContent } from '../../../packages/e2ee/src/content.js';
import { ed25519Pair } from '../../../packages/e2ee/src/crypto.js';
import { createAccountKeys, issueCertificate } from '../../../packages/e2ee/src/identity.js';
import {
  decryptAttachment,
  type E2ee,
  type E2eeOptions,
  type E2eeStorage,
  encryptAttachment,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../../packages/e2ee/src/index.js';
import { openEpochKey, sealEpochKey } from '../../../packages/e2ee/src/recovery.js';
import { createFakeServer, type StoredMessage } from './fake-server.js';

type Server = ReturnType<typeof createFakeServer>;

interface Client {
  e2ee: E2ee;
  storage: E2eeStorage;
}

async function openClient(server: Server, userId: string, options: Partial<E2eeOptions> = {}): Promise<Client> {
  const storage = options.storage ?? memoryStorage();
  const e2ee = await openE2ee({ storage, execute: server.executeAs(userId), locks: memoryLocks(), ...options });
  return { e2ee, storage };
}

async function setUp(server: Server, userId: string, options: Partial<E2eeOptions> = {}): Promise<Client> {
  const client = await openClient(server, userId, options);
  await client.e2ee.setUp();
  return client;
}

/** Alice and Bob, with a message of each. */
async function scene(options: Partial<E2eeOptions> = {}, kind: 'DIRECT' | 'GROUP' = 'GROUP') {
  const server = createFakeServer();
  const [alice, bob] = [await setUp(server, 'alice', options), await setUp(server, 'bob')];
  const conversation = server.createConversation(['alice', 'bob'], kind);
  const { id, messages } = conversation;
  await alice.e2ee.conversation(id).enable();
  await alice.e2ee.conversation(id).send({ text: 'from Alice' });
  await bob.e2ee.conversation(id).send({ text: 'from Bob' });
  return { server, alice, bob, conversation, id, messages: messages as [StoredMessage, StoredMessage] };
}

/** A message that the server has made, with keys of its own and a key of an epoch that it has sealed for the reader. */
async function forge({ server, conversation, id }: Awaited<ReturnType<typeof scene>>, reader: string, sender: string) {
  const { generation, epoch } = conversation;
  const account = await createAccountKeys();
  const [signature, content] = [await ed25519Pair(), await ed25519Pair()];
  const keys = { userId: sender, signatureKey: signature.publicKey, contentKey: content.publicKey };
  const certificate = toBase64Url(await issueCertificate(account, keys));
  const epochKey = randomBytes(32);
  const place = { conversationId: id, generation, epoch, deviceId: 'forged', clientMessageId: 'forged', version: 1 };
  const sealed = await sealContent(epochKey, content.privateKey, place, { text: 'forged' });
  const historyKey = fromBase64Url(server.accounts.get(reader)?.historyKey as string);
  conversation.sealed = conversation.sealed.filter((each) => each.userId !== reader || each.epoch !== epoch);
  conversation.sealed.push({
    userId: reader,
    generation,
    epoch,
    sealed: toBase64Url(await sealEpochKey([historyKey], place, epochKey)),
  });
  const user = { id: sender };
  const device = { id: 'forged', signatureKey: toBase64Url(signature.publicKey), certificate, user };
  const message: StoredMessage = {
    id: 'forged',
    seq: 3,
    clientMessageId: 'forged',
    conversation: { id },
    sender: user,
    encrypted: { generation, epoch, content: toBase64Url(sealed), device },
    sent: '',
  };
  return message;
}

describe('a server that has keys of its own', () => {
  it('does not get the key of an epoch for a history key that the account has not signed', async () => {
    const server = createFakeServer();
    const [alice] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const conversation = server.createConversation(['alice', 'bob'], 'GROUP');
    const attacker = await createAccountKeys();
    // A list of devices that is signed contains the right key.
    const shown = { deviceList: undefined, historyKey: toBase64Url(attacker.history.publicKey) };
    Object.assign(server.accounts.get('bob') as object, shown);
    await alice.e2ee.conversation(conversation.id).enable();
    await alice.e2ee.conversation(conversation.id).send({ text: 'secret' });
    const sealed = conversation.sealed.filter(({ userId }) => userId === 'bob');
    expect(sealed).not.toEqual([]);
    for (const { generation, epoch, sealed: key } of sealed) {
      const place = { conversationId: conversation.id, generation, epoch };
      expect(await openEpochKey(attacker, place, fromBase64Url(key))).toBeUndefined();
    }
  });

  it('cannot write in the name of a verified user or of the viewer', async () => {
    const given = await scene();
    const { alice, id } = given;
    await alice.e2ee.verifyIdentity('bob');
    for (const sender of ['bob', 'alice']) {
      const forged = await forge(given, 'alice', sender);
      await expect(alice.e2ee.conversation(id).open(forged), sender).rejects.toMatchObject({
        code: 'IDENTITY_CHANGED',
      });
    }
    expect((await alice.e2ee.conversation(id).open(given.messages[1])).content.text).toBe('from Bob');
  });

  it('cannot make the viewer accept its key as their own', async () => {
    const given = await scene();
    const { alice, id } = given;
    const { identityKey } = await alice.e2ee.identity('alice');
    const forged = await forge(given, 'alice', 'alice');
    const opening = alice.e2ee.conversation(id).open(forged);
    await expect(opening).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
    await expect(alice.e2ee.acceptIdentity('alice')).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
    expect((await alice.e2ee.identity('alice')).identityKey).toEqual(identityKey);
    await alice.e2ee.conversation(id).send({ text: 'still possible' });
  });

  it('cannot present the key of one user as that of another', async () => {
    const given = await scene();
    const { alice, id } = given;
    const forged = await forge(given, 'alice', 'carol');
    const device = { ...forged.encrypted.device, user: { id: 'bob' } };
    const message = { ...forged, sender: { id: 'bob' }, encrypted: { ...forged.encrypted, device } };
    await expect(alice.e2ee.conversation(id).open(message)).rejects.toMatchObject({ code: 'TAMPERED' });
    expect((await alice.e2ee.identity('carol')).identityKey).toBeUndefined();
  });

  it.each(['DIRECT', 'GROUP'] as const)(
    'does not prevent the first message after its accepted change: %s',
    async (kind) => {
      for (const isJoined of [true, false]) {
        const { server, alice, id, messages } = await scene({}, kind);
        await alice.e2ee.verifyIdentity('bob');
        const again = await openClient(server, 'bob');
        await again.e2ee.setUp({ replaceIdentity: true });
        if (isJoined) await again.e2ee.conversation(id).synchronize();
        const send = (text: string) => alice.e2ee.conversation(id).send({ text });
        if (isJoined) await expect(send('refused')).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
        else await send('only to devices of Alice');
        await alice.e2ee.acceptIdentity('bob');
        await send('accepted');
        const { content } = await again.e2ee.conversation(id).open(messages.at(-1) as StoredMessage);
        expect(content.text).toBe('accepted');
      }
    },
  );

  it('cannot take back a verification, nor conceal a new identity, by what arrives at the same time', async () => {
    const given = await scene();
    const { server, alice, id } = given;
    const { storage } = alice;
    const forged = await forge(given, 'alice', 'bob');
    // The verification has read what is known, and not stored it, when the other identity arrives.
    let release = () => {};
    let isHeld = true;
    const slow: E2eeStorage = {
      ...storage,
      async get(key) {
        const value = await storage.get(key);
        if (key === 'identity:bob' && isHeld) {
          isHeld = false;
          await new Promise<void>((resolve) => {
            release = resolve;
          });
        }
        return value;
      },
    };
    const restarted = await openClient(server, 'alice', { storage: slow });
    const verifying = restarted.e2ee.verifyIdentity('bob');
    const opening = restarted.e2ee
      .conversation(id)
      .open(forged)
      .catch(() => {});
    // It either waits, or stores the identity.
    const isStored = async () => ((await storage.get('identity:bob')) as { others: unknown[] }).others.length > 0;
    for (let turns = 0; turns < 300 && !(await isStored()); turns++) await new Promise(setImmediate);
    release();
    await Promise.all([verifying, opening]);
    expect(await restarted.e2ee.identity('bob')).toMatchObject({ isVerified: true, isChanged: true });
  });

  it('cannot make an accepted change of an identity look like another change', async () => {
    const given = await scene();
    const { server, alice, id, messages } = given;
    for (const { id: deviceId, userId } of server.devices.values()) if (userId === 'bob') server.endDevice(deviceId);
    const again = await openClient(server, 'bob');
    await again.e2ee.setUp({ replaceIdentity: true });
    await again.e2ee.conversation(id).send({ text: 'with new keys' });
    await alice.e2ee.conversation(id).open(messages.at(-1) as StoredMessage);
    await alice.e2ee.acceptIdentity('bob');
    const { identityKey } = await alice.e2ee.identity('bob');
    const changed: string[] = [];
    const restarted = await openClient(server, 'alice', {
      storage: alice.storage,
      onIdentityChanged: (userId) => changed.push(userId),
    });
    // Messages from before the change remain readable, also after the new key was verified.
    await restarted.e2ee.verifyIdentity('bob');
    expect((await restarted.e2ee.conversation(id).open(messages[1])).content.text).toBe('from Bob');
    expect(await restarted.e2ee.identity('bob')).toEqual({ identityKey, isVerified: true, isChanged: false });
    await restarted.e2ee.acceptIdentity('bob');
    expect((await restarted.e2ee.identity('bob')).identityKey).toEqual(identityKey);
    expect(changed).toEqual([]);
  });
});

it('a server cannot take back an edit, also after the device was restarted', async () => {
  const { server, alice, bob, id, messages } = await scene();
  const [message] = messages;
  const before = structuredClone(message);
  const key = message.clientMessageId as string;
  const encrypted = await alice.e2ee.conversation(id).encrypt(key, { text: 'edited' }, { version: 2 });
  await server.executeAs('alice')('mutation EditMessage', { input: { messageId: message.id, encrypted } });
  expect((await bob.e2ee.conversation(id).open(message)).content.text).toBe('edited');
  const restarted = await openClient(server, 'bob', { storage: bob.storage });
  await expect(restarted.e2ee.conversation(id).open(before)).rejects.toMatchObject({ code: 'TAMPERED' });
  expect((await restarted.e2ee.conversation(id).open(message)).content.text).toBe('edited');
});

describe('a server that adds users', () => {
  it('cannot return to an epoch with a removed user without a notice', async () => {
    const noticed: string[] = [];
    const { server, alice, conversation, id } = await scene({ onMemberAdded: (_, userId) => noticed.push(userId) });
    const eve = await setUp(server, 'eve');
    conversation.members.add('eve');
    await eve.e2ee.conversation(id).synchronize();
    await alice.e2ee.conversation(id).send({ text: 'with Eve' });
    const backup = structuredClone({ ...conversation });
    conversation.members.delete('eve');
    await alice.e2ee.conversation(id).send({ text: 'without Eve' });
    expect(noticed).toEqual(['eve']);
    Object.assign(conversation, backup);
    await alice.e2ee.conversation(id).send({ text: 'after the return' });
    expect(noticed).toEqual(['eve', 'eve']);
  });

  it('cannot add a third one to a direct conversation, nor have keys sealed for them', async () => {
    const { server, alice, bob, conversation, id, messages } = await scene({}, 'DIRECT');
    const mallory = await setUp(server, 'mallory');
    conversation.members.add('mallory');
    const { epoch } = conversation;
    await alice.e2ee.conversation(id).send({ text: 'for Bob' });
    expect(conversation.epoch).toBe(epoch);
    expect(conversation.sealed.filter(({ userId }) => userId === 'mallory')).toEqual([]);
    // She joins by herself, with the help of the server.
    await mallory.e2ee.conversation(id).synchronize();
    for (const { e2ee } of [alice, bob]) {
      await expect(e2ee.conversation(id).send({ text: 'secret' })).rejects.toMatchObject({ code: 'UNEXPECTED_MEMBER' });
    }
    expect(messages).toHaveLength(3);
  });

  it('cannot answer with the key package of somebody else, for whom the device has not asked', async () => {
    const server = createFakeServer();
    const [mallory, bob] = [await setUp(server, 'mallory'), await setUp(server, 'bob')];
    const execute = server.executeAs('alice');
    const other = server.createConversation(['mallory', 'alice']);
    await mallory.e2ee.conversation(other.id).enable();
    const owned = () =>
      [...server.devices.values()].filter(({ userId }) => userId === 'mallory').map((each) => each.id);
    /** Also those of commits that an honest server refuses. */
    const added: string[] = [];
    let answered = 0;
    const alice = await setUp(server, 'alice', {
      execute: async (document, variables) => {
        const { addedDeviceIds = [] } = (variables['input'] ?? {}) as { addedDeviceIds?: string[] };
        added.push(...addedDeviceIds);
        if (!document.includes('claimKeyPackages')) return execute(document, variables);
        answered += 1;
        return execute(document, { input: { conversationId: other.id, deviceIds: owned() } });
      },
    });
    const { id, messages, sealed } = server.createConversation(['alice', 'bob'], 'DIRECT');
    await alice.e2ee.conversation(id).enable();
    await alice.e2ee.conversation(id).send({ text: 'for Bob' });
    expect(answered).toBeGreaterThan(0);
    expect(added.filter((each) => owned().includes(each))).toEqual([]);
    expect(sealed.filter(({ userId }) => userId === 'mallory')).toEqual([]);
    expect((await bob.e2ee.conversation(id).open(messages.at(-1) as StoredMessage)).content.text).toBe('for Bob');
  });

  it('is reported in a direct conversation, in which the other user is expected', async () => {
    const noticed: string[] = [];
    const server = createFakeServer();
    const alice = await setUp(server, 'alice', { onMemberAdded: (_, userId) => noticed.push(userId) });
    const conversation = server.createConversation(['alice', 'bob'], 'DIRECT');
    const { id } = conversation;
    await alice.e2ee.conversation(id).enable();
    await alice.e2ee.conversation(id).send({ text: 'before Bob has a device' });
    const bob = await setUp(server, 'bob');
    await bob.e2ee.conversation(id).send({ text: 'from Bob' });
    await alice.e2ee.conversation(id).send({ text: 'to Bob' });
    expect(noticed).toEqual([]);
    const mallory = await setUp(server, 'mallory');
    conversation.members.add('mallory');
    await mallory.e2ee.conversation(id).synchronize();
    await alice.e2ee.conversation(id).synchronize();
    expect(noticed).toEqual(['mallory']);
  });

  it('cannot do it without a notice to the members of a group', async () => {
    const noticed: string[][] = [];
    const { server, alice, conversation, id } = await scene({
      onMemberAdded: (...added: [string, string]) => noticed.push(added),
    });
    expect(noticed).toEqual([]);
    const mallory = await setUp(server, 'mallory');
    conversation.members.add('mallory');
    // A device without key packages, for whose account the key is sealed.
    for (const device of server.devices.values()) {
      if (device.userId === 'mallory') Object.assign(device, { packages: [], lastResort: undefined });
    }
    await alice.e2ee.conversation(id).send({ text: 'to the account' });
    expect(noticed).toEqual([[id, 'mallory']]);
    await mallory.e2ee.conversation(id).synchronize();
    await alice.e2ee.conversation(id).send({ text: 'to the device' });
    expect(noticed).toEqual([[id, 'mallory']]);
    const restarted = await openClient(server, 'alice', {
      storage: alice.storage,
      onMemberAdded: (...added: [string, string]) => noticed.push(added),
    });
    await restarted.e2ee.conversation(id).send({ text: 'again' });
    expect(noticed).toHaveLength(1);
  });
});

it('a server cannot make a client believe that a conversation is no longer encrypted', async () => {
  const { alice, conversation, id } = await scene();
  expect(await alice.e2ee.conversation(id).isEncrypted()).toBe(true);
  conversation.isEncrypted = false;
  await expect(alice.e2ee.conversation(id).send({ text: 'secret' })).rejects.toMatchObject({ code: 'DOWNGRADED' });
  expect(await alice.e2ee.conversation(id).isEncrypted()).toBe(true);
  expect(await alice.e2ee.conversation('another').isEncrypted()).toBe(false);
});

describe('a member or server that breaks the group', () => {
  for (const [name, groupInfo] of [
    ['is not readable', () => 'AAAA'],
    ['is of an earlier epoch', (earlier: string) => earlier],
  ] as const) {
    it(`does not keep the others from writing: the stored group info ${name}`, async () => {
      const { server, alice, bob, conversation, id, messages } = await scene();
      const earlier = conversation.groupInfo as string;
      await setUp(server, 'carol');
      conversation.members.add('carol');
      await bob.e2ee.conversation(id).send({ text: 'with Carol' });
      // A commit that nobody can process.
      conversation.commits.push({
        ...(conversation.commits[0] as object),
        epoch: conversation.epoch,
        commit: 'AAAA',
      } as never);
      conversation.epoch += 1;
      conversation.groupInfo = groupInfo(earlier);
      await alice.e2ee.conversation(id).send({ text: 'started again' });
      expect(conversation.generation).toBe(2);
      for (const { e2ee } of [alice, bob]) {
        const opened = await Promise.all(messages.map((message) => e2ee.conversation(id).open(message)));
        expect(opened.map(({ content }) => content.text)).toEqual([
          'from Alice',
          'from Bob',
          'with Carol',
          'started again',
        ]);
      }
      await bob.e2ee.conversation(id).send({ text: 'and again' });
      expect((await alice.e2ee.conversation(id).open(messages.at(-1) as StoredMessage)).content.text).toBe('and again');
      expect(conversation.generation).toBe(2);
    });
  }

  it('does not keep the others from writing: a key package with a wrong signature', async () => {
    const { server, alice } = await scene();
    const carol = await setUp(server, 'carol');
    const other = server.createConversation(['alice', 'carol']);
    for (const device of server.devices.values()) {
      if (device.userId !== 'carol') continue;
      const break_ = (text: string) => `${text.slice(0, -4)}${text.slice(-4) === 'AAAA' ? 'BBBB' : 'AAAA'}`;
      device.packages = device.packages.map(break_);
      device.lastResort = break_(device.lastResort as string);
    }
    await alice.e2ee.conversation(other.id).enable();
    await alice.e2ee.conversation(other.id).send({ text: 'hello' });
    const [message] = other.messages as [StoredMessage];
    expect((await carol.e2ee.conversation(other.id).open(message)).content.text).toBe('hello');
  });
});

it('a member cannot stay in the group with a key that no device has registered', async () => {
  const { server, alice, bob, conversation, id, messages } = await scene();
  const eve = await setUp(server, 'eve');
  conversation.members.add('eve');
  await eve.e2ee.conversation(id).synchronize();
  // The second device of Eve joins, and she states that it was the first one.
  const first = [...conversation.devices.keys()].at(-1) as string;
  const second = await openClient(server, 'eve', {
    execute: (document, variables) => {
      const input = variables['input'] as Record<string, unknown> | undefined;
      if (!/mutation E2eeCommitGroup/.test(document)) return server.executeAs('eve')(document, variables);
      const commit = { ...input, deviceId: first, addedDeviceIds: [first] };
      return server.executeAs('eve')(document, { input: commit });
    },
  });
  await second.e2ee.recover((await eve.e2ee.recoveryKey()) as string);
  await second.e2ee.conversation(id).synchronize();
  const usersOf = async ({ e2ee }: Client) =>
    (await e2ee.conversation(id).members()).map(({ userId }) => userId).sort();
  await bob.e2ee.conversation(id).synchronize();
  expect(await usersOf(bob)).toEqual(['alice', 'bob', 'eve', 'eve']);
  conversation.members.delete('eve');
  await alice.e2ee.conversation(id).send({ text: 'without Eve' });
  expect(await usersOf(alice)).toEqual(['alice', 'bob']);
  const { epoch } = conversation;
  expect((await bob.e2ee.conversation(id).open(messages.at(-1) as StoredMessage)).content.text).toBe('without Eve');
  await bob.e2ee.conversation(id).send({ text: 'no further commit' });
  expect(conversation.epoch).toBe(epoch);
});

it('a member cannot block the others with a certificate for a user outside the conversation', async () => {
  const { server, alice, bob, conversation, id, messages } = await scene();
  const eve = await setUp(server, 'eve');
  conversation.members.add('eve');
  // Her certificate is one of another user, and the server does not read certificates.
  const account = ((await eve.storage.get('account')) as { keys: Parameters<typeof issueCertificate>[0] }).keys;
  const record = (await eve.storage.get('device')) as {
    signature: { publicKey: Uint8Array };
    content: { publicKey: Uint8Array };
  };
  const keys = { signatureKey: record.signature.publicKey, contentKey: record.content.publicKey };
  const certificate = await issueCertificate(account, { userId: 'nobody', ...keys });
  await eve.storage.write({ device: { ...record, certificate } });
  const evil = await openClient(server, 'eve', { storage: eve.storage });
  await evil.e2ee.conversation(id).synchronize();
  await alice.e2ee.conversation(id).send({ text: 'with Eve' });
  conversation.members.add('carol');
  const carol = await setUp(server, 'carol');
  await evil.e2ee.conversation(id).synchronize();
  await carol.e2ee.conversation(id).send({ text: 'from Carol' });
  await bob.e2ee.conversation(id).send({ text: 'from Bob' });
  for (const { e2ee } of [alice, bob, carol]) {
    const opened = await e2ee.conversation(id).open(messages.at(-1) as StoredMessage);
    expect(opened.content.text).toBe('from Bob');
  }
  expect((await bob.e2ee.conversation(id).members()).map(({ userId }) => userId)).not.toContain('nobody');
});

describe('what applications receive', () => {
  it('a text of the server does not replace one that cannot be decrypted, nor is one shown in another conversation', async () => {
    const { alice, id, messages } = await scene();
    const errors: unknown[] = [];
    const onError = (error: unknown) => errors.push(error);
    const [first, second] = messages;
    const broken = { ...first, encrypted: { ...first.encrypted, content: second.encrypted.content } };
    const data = {
      other: { __typename: 'Conversation', id: 'another', messages: [{ ...first, text: 'plain' }] },
      own: {
        __typename: 'Conversation',
        id,
        messages: [
          { ...broken, text: 'plain' },
          { ...first, text: null },
        ],
      },
    };
    const shown = await decryptData(alice.e2ee, data, { onError });
    expect(shown.other.messages.map(({ text }) => text)).toEqual([null]);
    expect(shown.own.messages.map(({ text }) => text)).toEqual([null, 'from Alice']);
    expect(errors).toMatchObject([{ code: 'TAMPERED' }, { code: 'TAMPERED' }]);
  });

  it.each([
    null,
    [],
    'text',
    { text: 1 },
    { text: {} },
    { replyToId: 1 },
    { attachments: [] },
    { attachments: { a: null } },
    { attachments: { a: { key: 1, size: 1, digest: '' } } },
    { attachments: { a: { key: '', size: -1, digest: '' } } },
    { attachments: { a: { key: '', size: 1, digest: '', name: 1 } } },
    { attachments: { a: { key: '', size: 1, digest: '', mimeType: [] } } },
  ])('content of another form is refused: %j', async (content) => {
    const [epochKey, device] = [randomBytes(32), await ed25519Pair()];
    const place = { conversationId: 'c', generation: 1, epoch: 1, deviceId: 'd', clientMessageId: 'm' };
    const sealed = await sealContent(epochKey, device.privateKey, { ...place, version: 1 }, content as never);
    await expect(openContent(epochKey, device.publicKey, place, sealed)).rejects.toMatchObject({ code: 'TAMPERED' });
  });

  it.each(['text/html', 'image/svg+xml', 'application/xhtml+xml', 'TEXT/HTML; charset=utf-8', 'image/png;x=text/html'])(
    'a decrypted file is never a document with scripts: %s',
    async (mimeType) => {
      const { blob, secret } = await encryptAttachment(new Blob(['<script></script>']), { mimeType });
      expect((await decryptAttachment(blob, secret)).type).toBe('application/octet-stream');
    },
  );

  it('a decrypted picture has its type', async () => {
    const { blob, secret } = await encryptAttachment(new Blob(['x']), { mimeType: 'image/png' });
    expect((await decryptAttachment(blob, secret)).type).toBe('image/png');
  });
});
