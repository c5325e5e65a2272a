import 'fake-indexeddb/auto';
import { describe, expect, it } from 'vitest';
import { toBase64Url } from '../../../packages/e2ee/src/bytes.js';
import {
  type E2ee,
  type E2eeOptions,
  type E2eeStorage,
  indexedDbStorage,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../../packages/e2ee/src/index.js';
import { createFakeServer, type StoredMessage } from './fake-server.js';

type Server = ReturnType<typeof createFakeServer>;

interface Client {
  e2ee: E2ee;
  storage: E2eeStorage;
  userId: string;
}

async function openClient(server: Server, userId: string, options: Partial<E2eeOptions> = {}): Promise<Client> {
  const storage = options.storage ?? memoryStorage();
  const e2ee = await openE2ee({ storage, execute: server.executeAs(userId), locks: memoryLocks(), ...options });
  return { e2ee, storage, userId };
}

/** A client of the server itself, in the name of a user whose devices it keeps. */
const openGhost = (server: Server, userId: string): Promise<Client> =>
  openClient(server, userId, {
    execute: async (document, variables) =>
      /mutation E2eeRemoveDevice/.test(document) ? {} : server.executeAs(userId)(document, variables),
  });

/** The first device of a user. */
async function setUp(server: Server, userId: string, options: Partial<E2eeOptions> = {}): Promise<Client> {
  const client = await openClient(server, userId, options);
  await client.e2ee.setUp({ name: 'Laptop' });
  return client;
}

/** Another device of the user, with the recovery key. */
async function recover(server: Server, first: Client): Promise<Client> {
  const client = await openClient(server, first.userId);
  await client.e2ee.recover((await first.e2ee.recoveryKey()) as string, { name: 'Phone' });
  return client;
}

async function makeConversation(server: Server, ...clients: Client[]) {
  const conversation = server.createConversation(clients.map(({ userId }) => userId));
  await clients[0]?.e2ee.conversation(conversation.id).enable();
  return conversation;
}

const textOf = async ({ e2ee }: Client, message: StoredMessage | undefined) => {
  if (!message) throw new Error('There is no such message.');
  return (await e2ee.conversation(message.conversation.id).open(message)).content.text;
};

describe('conversations', () => {
  it('all devices of all members read what was sent, also what they have sent themselves', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const phone = await recover(server, bob);
    const { id, messages } = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(id).send({ text: 'from Alice' });
    await bob.e2ee.conversation(id).send({ text: 'from Bob' });
    await phone.e2ee.conversation(id).send({ text: 'from the phone' });
    for (const client of [alice, bob, phone]) {
      for (const [index, text] of ['from Alice', 'from Bob', 'from the phone'].entries()) {
        expect(await textOf(client, messages[index])).toBe(text);
      }
    }
    expect((await alice.e2ee.conversation(id).members()).map(({ userId }) => userId).sort()).toEqual([
      'alice',
      'bob',
      'bob',
    ]);
    expect(JSON.stringify([...server.conversations])).not.toMatch(/from (Alice|Bob|the phone)/);
  });

  it('a device that is registered later reads everything while no other device is online', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const { id, messages } = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(id).send({ text: 'one' });
    await bob.e2ee.conversation(id).synchronize();
    // Each of these commits begins another epoch.
    for (let index = 0; index < 8; index++) {
      await recover(server, alice).then(({ e2ee }) => e2ee.conversation(id).synchronize());
      await bob.e2ee.conversation(id).send({ text: `in epoch ${index}` });
    }
    const laptop = await recover(server, bob);
    expect(await Promise.all(messages.map((message) => textOf(laptop, message)))).toEqual([
      'one',
      ...Array.from({ length: 8 }, (_, index) => `in epoch ${index}`),
    ]);
  });

  it('who is added reads what is sent from then on, and who is removed nothing later, whatever the server does', async () => {
    const server = createFakeServer();
    const [alice, bob, carol] = [
      await setUp(server, 'alice'),
      await setUp(server, 'bob'),
      await setUp(server, 'carol'),
    ];
    const conversation = await makeConversation(server, alice, bob);
    const { id, messages } = conversation;
    await alice.e2ee.conversation(id).send({ text: 'before Carol' });
    conversation.members.add('carol');
    await alice.e2ee.conversation(id).send({ text: 'with Carol' });
    expect(await textOf(carol, messages[1])).toBe('with Carol');
    await expect(textOf(carol, messages[0])).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    conversation.members.delete('carol');
    await bob.e2ee.conversation(id).send({ text: 'without Carol' });
    expect(await textOf(alice, messages[2])).toBe('without Carol');
    await expect(textOf(carol, messages[2])).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    // A server that delivers everything to her anyway, without letting her join.
    const execute = server.executeAs('alice');
    const hostile = await openE2ee({
      storage: carol.storage,
      locks: memoryLocks(),
      execute: async (document, variables) => {
        if (/commitGroup/.test(document)) throw Object.assign(new Error('refused'), { code: 'FORBIDDEN' });
        if (/registerDevice|E2eeAccount|setDeviceList/.test(document))
          return server.executeAs('carol')(document, variables);
        return execute(document, variables);
      },
    });
    await expect(hostile.conversation(id).open(messages[2] as StoredMessage)).rejects.toMatchObject({
      code: expect.stringMatching(/KEY_UNAVAILABLE|NOT_A_MEMBER/),
    });
    // What she could read before, she still can.
    expect((await hostile.conversation(id).open(messages[1] as StoredMessage)).content.text).toBe('with Carol');
    conversation.members.add('carol');
    await alice.e2ee.conversation(id).send({ text: 'with Carol again' });
    expect(await textOf(carol, messages[3])).toBe('with Carol again');
    await expect(textOf(carol, messages[2])).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('who is added to a group in use and is offline reads what is sent meanwhile, and one commit is enough', async () => {
    const server = createFakeServer();
    const [alice, bob, carol] = [
      await setUp(server, 'alice'),
      await setUp(server, 'bob'),
      await setUp(server, 'carol'),
    ];
    const conversation = await makeConversation(server, alice, bob);
    const { id, messages } = conversation;
    await recover(server, bob).then(({ e2ee }) => e2ee.conversation(id).synchronize());
    await alice.e2ee.conversation(id).send({ text: 'before Carol' });
    const { epoch } = conversation;
    conversation.members.add('carol');
    for (const [index, { e2ee }] of [alice, bob, alice, bob].entries()) {
      await e2ee.conversation(id).send({ text: `with Carol ${index}` });
    }
    expect(conversation.epoch).toBe(epoch + 1);
    for (let index = 0; index < 4; index++)
      expect(await textOf(carol, messages[index + 1])).toBe(`with Carol ${index}`);
    await expect(textOf(carol, messages[0])).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
  });

  it('a removed device reads nothing later, its user on another device does', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const phone = await recover(server, bob);
    const { id, messages } = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(id).send({ text: 'one' });
    expect(await textOf(phone, messages[0])).toBe('one');
    const lost = [...server.devices.values()].filter(({ userId }) => userId === 'bob')[1];
    server.endDevice(lost?.id as string);
    await alice.e2ee.conversation(id).send({ text: 'two' });
    expect(await textOf(bob, messages[1])).toBe('two');
    // It is the account that has the key of the vault: only the next start removes it from a lost device.
    const restarted = await openClient(server, 'bob', { storage: phone.storage });
    await expect(restarted.e2ee.start()).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    // The server can be wrong or lie, so the device keeps what it can read.
    for (const { e2ee } of [restarted, await openClient(server, 'bob', { storage: phone.storage })]) {
      expect((await e2ee.conversation(id).open(messages[0] as StoredMessage)).content.text).toBe('one');
      await expect(e2ee.conversation(id).send({ text: 'x' })).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    }
    await restarted.e2ee.erase();
    expect(await phone.storage.list('')).toEqual(new Map());
  });

  it('a removed device continues as a new one with the recovery key, and as itself if the server was wrong', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const words = (await bob.e2ee.recoveryKey()) as string;
    const { id, messages } = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(id).send({ text: 'one' });
    expect(await textOf(bob, messages[0])).toBe('one');
    const devices = () => [...server.devices.values()].filter(({ userId }) => userId === 'bob');
    server.endDevice(devices()[0]?.id as string);
    await expect(bob.e2ee.start()).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    Object.assign(devices()[0] as object, { isEnded: false });
    expect(await bob.e2ee.start()).toBe(true);
    await bob.e2ee.conversation(id).send({ text: 'two' });
    server.endDevice(devices()[0]?.id as string);
    await expect(bob.e2ee.start()).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    await expect(bob.e2ee.setUp()).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    await bob.e2ee.recover(words);
    expect(devices()).toHaveLength(2);
    await bob.e2ee.conversation(id).send({ text: 'three' });
    for (const client of [alice, bob]) {
      expect(await Promise.all(messages.map((each) => textOf(client, each)))).toEqual(['one', 'two', 'three']);
    }
  });

  it('twelve members start and join a group at once, and all read everything', { timeout: 120_000 }, async () => {
    const server = createFakeServer();
    const names = Array.from({ length: 12 }, (_, index) => `user${index}`);
    const clients = await Promise.all(names.map((name) => setUp(server, name)));
    const { id, messages } = server.createConversation(names);
    await Promise.all(clients.map(({ e2ee }) => e2ee.conversation(id).enable()));
    await Promise.all(clients.map(({ e2ee, userId }) => e2ee.conversation(id).send({ text: userId })));
    for (const client of clients) {
      const texts = await Promise.all(messages.map((message) => textOf(client, message)));
      expect(texts.sort()).toEqual([...names].sort());
    }
  });
});

describe('sending', () => {
  it('the same bytes are returned until the server has answered, also in another tab and after a restart', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const { id } = await makeConversation(server, alice, bob);
    const locks = memoryLocks();
    const tabs = await Promise.all(
      [0, 1].map(() => openE2ee({ storage: alice.storage, execute: server.executeAs('alice'), locks })),
    );
    const inputs = await Promise.all(tabs.map((tab) => tab.conversation(id).encrypt('key', { text: 'hello' })));
    expect(inputs[0]).toEqual(inputs[1]);
    const restarted = await openClient(server, 'alice', { storage: alice.storage });
    expect(await restarted.e2ee.conversation(id).encrypt('key', { text: 'hello' })).toEqual(inputs[0]);
    // An outbox that has crashed before it has stored the answer sends the message again.
    await restarted.e2ee.conversation(id).settled('key');
    expect(await restarted.e2ee.conversation(id).encrypt('key', { text: 'hello' })).toEqual(inputs[0]);
    const later = await openClient(server, 'alice', { storage: alice.storage, now: () => Date.now() + 8 * 86_400_000 });
    await later.e2ee.start();
    expect(await later.e2ee.conversation(id).encrypt('key', { text: 'hello' })).not.toEqual(inputs[0]);
  });

  it('a message is encrypted again only if the group has changed, and what another tab has encrypted is kept', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const { id } = await makeConversation(server, alice, bob);
    const conversation = alice.e2ee.conversation(id);
    const first = await conversation.encrypt('key', { text: 'hello' });
    for (const code of ['NETWORK', 'RATE_LIMITED', 'BAD_USER_INPUT']) {
      expect(await conversation.stale('key', first, { code })).toBe(false);
    }
    expect(await conversation.encrypt('key', { text: 'hello' })).toEqual(first);
    const stale = { code: 'CONFLICT', reason: 'STALE_EPOCH' };
    expect(await conversation.stale('key', first, stale)).toBe(true);
    const second = await conversation.encrypt('key', { text: 'hello' });
    expect(second).not.toEqual(first);
    // Another tab learns later that the first one was refused.
    expect(await conversation.stale('key', first, stale)).toBe(true);
    expect(await conversation.encrypt('key', { text: 'hello' })).toEqual(second);
  });

  it('a message whose answer was lost is sent once, also if the group has changed since then', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const { id, messages } = await makeConversation(server, alice, bob);
    const execute = server.executeAs('alice');
    let isLost = true;
    const unreliable = await openClient(server, 'alice', {
      storage: alice.storage,
      execute: async (document, variables) => {
        const answer = await execute(document, variables);
        if (isLost && document.includes('sendMessage')) throw Object.assign(new Error('lost'), { code: 'NETWORK' });
        return answer;
      },
    });
    const send = () => unreliable.e2ee.conversation(id).send({ text: 'once' }, { clientMessageId: 'key' });
    await expect(send()).rejects.toMatchObject({ code: 'NETWORK' });
    await recover(server, bob).then(({ e2ee }) => e2ee.conversation(id).synchronize());
    isLost = false;
    await send();
    expect(messages).toHaveLength(1);
    expect(await textOf(bob, messages[0])).toBe('once');
    await unreliable.e2ee.conversation(id).send({ text: 'once' }, { clientMessageId: 'key' });
    expect(messages).toHaveLength(1);
  });

  it('a commit whose answer was lost is published again with the same bytes', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const conversation = server.createConversation(['alice', 'bob']);
    const execute = server.executeAs('alice');
    let losses = 2;
    const unreliable = await openClient(server, 'alice', {
      storage: alice.storage,
      execute: async (document, variables) => {
        const answer = await execute(document, variables);
        if (document.includes('commitGroup') && losses-- > 0)
          throw Object.assign(new Error('lost'), { code: 'NETWORK' });
        return answer;
      },
    });
    await expect(unreliable.e2ee.conversation(conversation.id).enable()).rejects.toMatchObject({ code: 'NETWORK' });
    await expect(unreliable.e2ee.conversation(conversation.id).synchronize()).rejects.toMatchObject({
      code: 'NETWORK',
    });
    await unreliable.e2ee.conversation(conversation.id).send({ text: 'hello' });
    const sent = server.log.filter(({ name }) => name === 'E2eeCommitGroup').map(({ input }) => input['commit']);
    expect(sent).toHaveLength(3);
    expect(new Set(sent).size).toBe(1);
    expect(conversation.commits).toHaveLength(1);
    expect(await textOf(bob, conversation.messages[0])).toBe('hello');
  });

  it('an edit is another version, which a server cannot take back', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const { id, messages } = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(id).send({ text: 'first' }, { clientMessageId: 'key' });
    const message = messages[0] as StoredMessage;
    const first = structuredClone(message);
    const encrypted = await alice.e2ee.conversation(id).encrypt('key', { text: 'second' }, { version: 2 });
    await server.executeAs('alice')('mutation EditMessage', { input: { messageId: message.id, encrypted } });
    await alice.e2ee.conversation(id).settled('key', 2);
    expect(await bob.e2ee.conversation(id).open(message)).toMatchObject({ content: { text: 'second' }, version: 2 });
    await expect(textOf(bob, first)).rejects.toMatchObject({ code: 'TAMPERED' });
    const hidden = { ...first, editedAt: message.editedAt as string };
    await expect(textOf(alice, hidden)).rejects.toMatchObject({ code: 'TAMPERED' });
  });

  it('keys are renewed after a week and after 1,000 messages', async () => {
    const server = createFakeServer();
    let now = Date.now();
    const alice = await setUp(server, 'alice', { now: () => now });
    const conversation = await makeConversation(server, alice);
    const send = () => alice.e2ee.conversation(conversation.id).send({ text: 'hello' });
    await send();
    await send();
    expect(conversation.epoch).toBe(1);
    now += 7 * 86_400_000;
    await send();
    expect(conversation.epoch).toBe(2);
    const record = (await alice.storage.get(`group:${conversation.id}`)) as { sent: number };
    await alice.storage.write({ [`group:${conversation.id}`]: { ...record, sent: 1_000 } });
    await send();
    expect(conversation.epoch).toBe(3);
    await send();
    expect(conversation.epoch).toBe(3);
  });
});

describe('a server that attacks', () => {
  async function attacked() {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const conversation = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(conversation.id).send({ text: 'one' });
    await alice.e2ee
      .conversation(conversation.id)
      .send({ text: 'two', replyToId: conversation.messages[0]?.id as string });
    return { server, alice, bob, conversation, messages: conversation.messages as [StoredMessage, StoredMessage] };
  }

  it('cannot swap, repeat, move or attribute messages, nor change reply links', async () => {
    const { alice, bob, messages } = await attacked();
    const [one, two] = messages;
    expect(await textOf(bob, one)).toBe('one');
    expect(await textOf(bob, two)).toBe('two');
    const bobs = (await bob.e2ee.conversation(one.conversation.id).encrypt('x', { text: 'x' })).deviceId;
    const attempts: StoredMessage[] = [
      { ...one, encrypted: two.encrypted },
      { ...one, id: 'another' },
      { ...one, clientMessageId: 'another' },
      { ...one, sender: { id: 'bob' } },
      { ...one, encrypted: { ...one.encrypted, device: { ...one.encrypted.device, user: { id: 'bob' } } } },
      { ...one, encrypted: { ...one.encrypted, device: { ...one.encrypted.device, id: bobs } } },
      { ...one, editedAt: '2026-11-30T00:00:00Z' },
      { ...two, replyTo: { id: two.id } },
      { ...one, replyTo: { id: two.id } },
    ];
    for (const [index, attempt] of attempts.entries()) {
      await expect(textOf(bob, attempt), `attempt ${index}`).rejects.toMatchObject({ code: 'TAMPERED' });
    }
    expect(await textOf(alice, one)).toBe('one');
  });

  it('cannot replace the identity of a verified user without a refusal to send', async () => {
    const server = createFakeServer();
    const changed: string[] = [];
    const alice = await setUp(server, 'alice', { onIdentityChanged: (userId) => changed.push(userId) });
    const bob = await setUp(server, 'bob');
    const conversation = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(conversation.id).send({ text: 'one' });
    expect(await alice.e2ee.safetyNumber('bob')).toBe(
      await bob.e2ee
        .conversation(conversation.id)
        .synchronize()
        .then(() => bob.e2ee.safetyNumber('alice')),
    );
    await alice.e2ee.verifyIdentity('bob');
    // The server makes keys in Bob's name.
    const ghost = await openGhost(server, 'bob');
    await ghost.e2ee.setUp({ replaceIdentity: true });
    await ghost.e2ee.conversation(conversation.id).synchronize();
    const sending = alice.e2ee.conversation(conversation.id).send({ text: 'secret' });
    await expect(sending).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
    expect(changed).toEqual(['bob']);
    const { identityKey, newIdentityKey } = await alice.e2ee.identity('bob');
    expect(await alice.e2ee.identity('bob')).toMatchObject({ isVerified: true, isChanged: true });
    expect(newIdentityKey).not.toEqual(identityKey);
    // Only a key that was seen can be accepted, and is the one that is compared from then on.
    await alice.e2ee.acceptIdentity('bob', new Uint8Array(32));
    expect(await alice.e2ee.identity('bob')).toMatchObject({ isVerified: true, isChanged: true });
    await alice.e2ee.acceptIdentity('bob', newIdentityKey);
    await alice.e2ee.conversation(conversation.id).send({ text: 'accepted' });
    expect(await alice.e2ee.identity('bob')).toEqual({
      identityKey: newIdentityKey,
      newIdentityKey: undefined,
      isVerified: false,
      isChanged: false,
    });
    await alice.e2ee.verifyIdentity('bob');
    expect(await alice.e2ee.identity('bob')).toMatchObject({ isVerified: true });
    await alice.e2ee.verifyIdentity('bob', false);
    expect(await alice.e2ee.identity('bob')).toMatchObject({ isVerified: false });
  });

  it('gets no keys with an identity that it has made for a verified user', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const conversation = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(conversation.id).send({ text: 'one' });
    await alice.e2ee.verifyIdentity('bob');
    // Devices that are to be added, and do not join by themselves.
    const ghost = await openGhost(server, 'bob');
    await ghost.e2ee.setUp({ replaceIdentity: true });
    await alice.e2ee.conversation(conversation.id).send({ text: 'two' });
    const [before, after] = [conversation.sealed.length, conversation.epoch];
    const renewing = (await alice.storage.get(`group:${conversation.id}`)) as object;
    await alice.storage.write({ [`group:${conversation.id}`]: { ...renewing, sent: 1_000 } });
    await alice.e2ee.conversation(conversation.id).send({ text: 'three' });
    expect(conversation.epoch).toBe(after + 1);
    const sealed = conversation.sealed.slice(before).filter(({ userId }) => userId === 'bob');
    expect(sealed).toHaveLength(1);
    // For Bob's own history key only.
    expect(sealed[0]?.sealed).toHaveLength(Math.ceil((80 * 4) / 3));
    expect(await textOf(bob, conversation.messages[2])).toBe('three');
  });

  it('cannot add a device in the name of the viewer without a refusal to send', async () => {
    const { server, alice, conversation } = await attacked();
    const ghost = await openGhost(server, 'alice');
    await ghost.e2ee.setUp({ replaceIdentity: true });
    await ghost.e2ee.conversation(conversation.id).synchronize();
    const sending = alice.e2ee.conversation(conversation.id).send({ text: 'secret' });
    await expect(sending).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
  });

  it('that invents commits makes members join again, and nothing is lost', async () => {
    const { server, alice, bob, conversation } = await attacked();
    await bob.e2ee.conversation(conversation.id).synchronize();
    const third = await recover(server, alice);
    await third.e2ee.conversation(conversation.id).synchronize();
    const last = conversation.commits.at(-1) as { commit: string };
    const right = last.commit;
    last.commit = `${right.slice(0, 200)}${right[200] === 'A' ? 'B' : 'A'}${right.slice(201)}`;
    await bob.e2ee.conversation(conversation.id).send({ text: 'still there' });
    expect(await textOf(third, conversation.messages.at(-1))).toBe('still there');
  });

  it('that was restored from a backup, and continued differently, is noticed by senders and readers', async () => {
    const { server, alice, bob, conversation } = await attacked();
    await bob.e2ee.conversation(conversation.id).send({ text: 'three' });
    const backup = structuredClone({ ...conversation });
    // Renewed keys, of which only Alice has the commit.
    const record = (await alice.storage.get(`group:${conversation.id}`)) as object;
    await alice.storage.write({ [`group:${conversation.id}`]: { ...record, sent: 1_000 } });
    await alice.e2ee.conversation(conversation.id).send({ text: 'lost' });
    Object.assign(conversation, backup);
    const bobs = (await bob.storage.get(`group:${conversation.id}`)) as object;
    await bob.storage.write({ [`group:${conversation.id}`]: { ...bobs, sent: 1_000 } });
    await bob.e2ee.conversation(conversation.id).send({ text: 'other history' });
    expect(await textOf(alice, conversation.messages.at(-1))).toBe('other history');
    const restarted = await openClient(server, 'alice', { storage: alice.storage });
    await restarted.e2ee.conversation(conversation.id).send({ text: 'together again' });
    expect(await textOf(bob, conversation.messages.at(-1))).toBe('together again');
  });
});

describe('devices', () => {
  it('key packages are published again after a failure, each once, and replenished', async () => {
    const server = createFakeServer();
    const execute = server.executeAs('alice');
    let failures = 2;
    const unreliable = await openClient(server, 'alice', {
      execute: async (document, variables) => {
        const answer = await execute(document, variables);
        if (document.includes('publishKeyPackages') && failures-- > 0) {
          throw Object.assign(new Error('lost'), { code: 'NETWORK' });
        }
        return answer;
      },
    });
    await expect(unreliable.e2ee.setUp()).rejects.toMatchObject({ code: 'NETWORK' });
    await expect(unreliable.e2ee.start()).rejects.toMatchObject({ code: 'NETWORK' });
    expect(await unreliable.e2ee.start()).toBe(true);
    const device = [...server.devices.values()][0];
    expect(server.devices.size).toBe(1);
    expect(device?.packages).toHaveLength(30);
    const stored = await unreliable.storage.list('package:');
    expect(stored.size).toBe(31);
    device?.packages.splice(0, 25);
    expect(await unreliable.e2ee.start()).toBe(true);
    expect(device?.packages).toHaveLength(30);
  });

  it('private keys of key packages are kept for 30 days after their expiry, and then deleted', async () => {
    const server = createFakeServer();
    let now = Date.now();
    const alice = await setUp(server, 'alice', { now: () => now });
    const before = [...(await alice.storage.list('package:')).keys()];
    now += 119 * 86_400_000;
    await alice.e2ee.start();
    expect([...(await alice.storage.list('package:')).keys()]).toEqual(expect.arrayContaining(before));
    now += 2 * 86_400_000;
    await alice.e2ee.start();
    const after = [...(await alice.storage.list('package:')).keys()];
    expect(after.filter((key) => before.includes(key))).toEqual([]);
  });

  it('a key package that is not valid yet keeps nobody from sending, and its device joins by itself', async () => {
    const server = createFakeServer();
    const alice = await setUp(server, 'alice');
    const bob = await setUp(server, 'bob', { now: () => Date.now() + 5 * 86_400_000 });
    const carol = await setUp(server, 'carol');
    const conversation = server.createConversation(['alice', 'bob', 'carol']);
    await alice.e2ee.conversation(conversation.id).enable();
    await alice.e2ee.conversation(conversation.id).send({ text: 'hello' });
    expect(conversation.devices.size).toBe(2);
    expect(await textOf(carol, conversation.messages[0])).toBe('hello');
    expect(await textOf(bob, conversation.messages[0])).toBe('hello');
    expect(conversation.devices.size).toBe(3);
  });

  it('everything is stored before it is published', async () => {
    const server = createFakeServer();
    const storage = memoryStorage();
    const execute = server.executeAs('alice');
    const published: string[] = [];
    const stored = async (prefix: string) => [...(await storage.list(prefix)).values()] as Record<string, unknown>[];
    const alice = await openClient(server, 'alice', {
      storage,
      execute: async (document, variables) => {
        const name = /(?:query|mutation) (\w+)/.exec(document)?.[1] ?? '';
        // biome-ignore lint/suspicious/noExplicitAny: the inputs of several mutations
        const input = variables['input'] as any;
        if (name === 'E2eePublishKeyPackages') {
          const kept = (await stored('package:')).map(({ keyPackage }) => toBase64Url(keyPackage as Uint8Array));
          expect(kept).toEqual(expect.arrayContaining([...input.keyPackages, input.lastResort ?? kept[0]]));
        }
        if (name === 'E2eeSetAccountKeys') expect(await stored('account')).toHaveLength(1);
        if (name === 'E2eeRegisterDevice') expect(await stored('device')).toHaveLength(1);
        if (name === 'E2eeCommitGroup') expect(await stored('group:')).toMatchObject([{ pending: { input } }]);
        if (name === 'E2eeSendMessage') expect(await stored('outgoing:')).toMatchObject([{ input: input.encrypted }]);
        published.push(name);
        return execute(document, variables);
      },
    });
    await alice.e2ee.setUp();
    const { id } = server.createConversation(['alice']);
    await alice.e2ee.conversation(id).enable();
    await alice.e2ee.conversation(id).send({ text: 'hello' });
    for (const name of ['SetAccountKeys', 'RegisterDevice', 'PublishKeyPackages', 'CommitGroup', 'SendMessage']) {
      expect(published).toContain(`E2ee${name}`);
    }
  });

  it('an account has keys once, unless the user replaces them', async () => {
    const server = createFakeServer();
    const alice = await setUp(server, 'alice');
    const words = (await alice.e2ee.recoveryKey()) as string;
    await alice.e2ee.forgetRecoveryKey();
    expect(await alice.e2ee.recoveryKey()).toBeUndefined();
    const other = await openClient(server, 'alice');
    expect(await other.e2ee.start()).toBe(false);
    await expect(other.e2ee.setUp()).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    await expect(other.e2ee.conversation('x').synchronize()).rejects.toMatchObject({ code: 'NOT_SET_UP' });
    await expect(other.e2ee.recover('zoo '.repeat(11))).rejects.toMatchObject({ code: 'INVALID_RECOVERY_KEY' });
    await other.e2ee.recover(words);
    expect(await other.e2ee.start()).toBe(true);
    expect(server.devices.size).toBe(2);
    await other.e2ee.erase();
    expect(await other.e2ee.start()).toBe(false);
    other.e2ee.close();
    await expect(other.e2ee.start()).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('another recovery key replaces the former one, also if the answer was lost', async () => {
    const server = createFakeServer();
    const execute = server.executeAs('alice');
    let isLost = false;
    const alice = await setUp(server, 'alice', {
      execute: async (document, variables) => {
        if (isLost) throw Object.assign(new Error('lost'), { code: 'NETWORK' });
        return execute(document, variables);
      },
    });
    const { id, messages } = await makeConversation(server, alice);
    await alice.e2ee.conversation(id).send({ text: 'hello' });
    const former = (await alice.e2ee.recoveryKey()) as string;
    isLost = true;
    await expect(alice.e2ee.changeRecoveryKey()).rejects.toMatchObject({ code: 'NETWORK' });
    const words = (await alice.e2ee.recoveryKey()) as string;
    expect(words).not.toBe(former);
    await (await openClient(server, 'alice', { storage: alice.storage })).e2ee.start();
    const other = await openClient(server, 'alice');
    await expect(other.e2ee.recover(former)).rejects.toMatchObject({ code: 'WRONG_RECOVERY_KEY' });
    await other.e2ee.recover(words);
    expect(await textOf(other, messages[0])).toBe('hello');
  });

  it('a device that ended with its session continues after the next sign-in', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const { id, messages } = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(id).send({ text: 'one' });
    const [device] = [...server.devices.values()].filter(({ userId }) => userId === 'alice');
    server.endSession(device?.id as string);
    await bob.e2ee.conversation(id).send({ text: 'while Alice is signed out' });
    expect(await alice.e2ee.start()).toBe(true);
    await alice.e2ee.conversation(id).send({ text: 'back' });
    expect(await textOf(bob, messages[2])).toBe('back');
    expect(await textOf(alice, messages[1])).toBe('while Alice is signed out');
    expect([...server.devices.values()].filter(({ userId }) => userId === 'alice')).toHaveLength(1);
  });

  it('a device that does not fit into the group learns it at once', async () => {
    const server = createFakeServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const conversation = await makeConversation(server, alice, bob);
    conversation.devicesMax = 2;
    const phone = await recover(server, bob);
    const before = server.log.length;
    await expect(phone.e2ee.conversation(conversation.id).synchronize()).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(server.log.slice(before).filter(({ name }) => name === 'E2eeCommitGroup')).toHaveLength(1);
  });

  it('conversations without encryption and those of others are refused', async () => {
    const server = createFakeServer();
    const alice = await setUp(server, 'alice');
    const [plain, others] = [server.createConversation(['alice']), server.createConversation(['bob'])];
    await expect(alice.e2ee.conversation(plain.id).send({ text: 'x' })).rejects.toMatchObject({
      code: 'NOT_ENCRYPTED',
    });
    await expect(alice.e2ee.conversation(others.id).send({ text: 'x' })).rejects.toMatchObject({
      code: 'NOT_A_MEMBER',
    });
  });
});

describe('storage', () => {
  it.each([
    ['in memory', async () => memoryStorage()],
    ['in IndexedDB', () => indexedDbStorage(`e2ee-${Math.random()}`)],
  ])('%s writes all or nothing, and of two writers one fails', async (_, open) => {
    const storage = await open();
    const bytes = new Uint8Array([1, 2, 3]);
    expect(await storage.write({ 'a:1': { revision: 1 }, 'a:2': bytes, b: 'text' })).toBe(true);
    expect(await storage.get('a:2')).toEqual(bytes);
    expect(await storage.list('a:')).toEqual(
      new Map<string, unknown>([
        ['a:1', { revision: 1 }],
        ['a:2', bytes],
      ]),
    );
    expect(await storage.write({ 'a:1': { revision: 2 }, b: undefined }, { key: 'a:1', revision: undefined })).toBe(
      false,
    );
    expect(await storage.get('b')).toBe('text');
    expect(await storage.write({ 'a:1': { revision: 2 }, b: undefined }, { key: 'a:1', revision: 1 })).toBe(true);
    expect(await storage.get('a:1')).toEqual({ revision: 2 });
    expect(await storage.get('b')).toBeUndefined();
    expect(await storage.write({ c: 1 }, { key: 'c', revision: undefined })).toBe(true);
    storage.close();
  });

  it('transactions in IndexedDB are complete only when they are on the disk', async () => {
    const durabilities: unknown[] = [];
    const transaction = IDBDatabase.prototype.transaction;
    IDBDatabase.prototype.transaction = function (this: IDBDatabase, ...given: Parameters<typeof transaction>) {
      if (given[1] === 'readwrite') durabilities.push(given[2]?.durability);
      return transaction.apply(this, given);
    };
    try {
      const storage = await indexedDbStorage(`e2ee-${Math.random()}`);
      await storage.write({ a: 1 });
      storage.close();
    } finally {
      IDBDatabase.prototype.transaction = transaction;
    }
    expect(durabilities).toEqual(['strict']);
  });

  it('a conversation works with IndexedDB, and continues after a restart', async () => {
    const server = createFakeServer();
    const name = `e2ee-${Math.random()}`;
    const alice = await setUp(server, 'alice', { storage: await indexedDbStorage(name) });
    const bob = await setUp(server, 'bob');
    const { id, messages } = await makeConversation(server, alice, bob);
    await alice.e2ee.conversation(id).send({ text: 'one' });
    alice.e2ee.close();
    const again = await openClient(server, 'alice', { storage: await indexedDbStorage(name) });
    expect(await again.e2ee.start()).toBe(true);
    expect(await textOf(again, messages[0])).toBe('one');
    await again.e2ee.conversation(id).send({ text: 'two' });
    expect(await textOf(bob, messages[1])).toBe('two');
    expect(server.conversations.get(id)?.epoch).toBe(1);
    again.e2ee.close();
  });
});
