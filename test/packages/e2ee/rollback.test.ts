import { describe, expect, it } from 'vitest';
import { sealContent } from '../../../packages/e2ee/src/content.js';
import { openClient, scene, setUp, textOf } from './clients.js';
import type { StoredMessage } from './fake-server.js';

type Bytes = Uint8Array<ArrayBuffer>;

describe('a message that cannot be opened', () => {
  it('causes a bounded number of requests and commits, whatever the server shows, and others can still be opened', async () => {
    let now = Date.now();
    const { server, alice, bob, conversation, id, messages } = await scene({ now: () => now });
    const { groupInfo: earlier } = conversation;
    await setUp(server, 'carol');
    conversation.members.add('carol');
    await bob.e2ee.conversation(id).send({ text: 'later' });
    expect(await textOf(alice, messages[2])).toBe('later');
    const [first] = messages as [StoredMessage];
    const broken = (index: number): StoredMessage => {
      const content = Buffer.from(first.encrypted.content, 'base64url');
      content[60 + index] = (content[60 + index] as number) ^ 1;
      return { ...first, encrypted: { ...first.encrypted, content: content.toString('base64url') } };
    };
    const attack = async () => {
      const before = server.log.length;
      for (let index = 0; index < 40; index++) {
        // It looks as if the group had another history.
        conversation.groupInfo = earlier;
        await expect(textOf(alice, broken(index % 20))).rejects.toMatchObject({ code: 'TAMPERED' });
      }
      const caused = server.log.slice(before);
      return [caused.length, caused.filter(({ name }) => name === 'E2eeCommitGroup').length] as const;
    };
    const [requests, commits] = await attack();
    expect(requests).toBeLessThan(60);
    expect(commits).toBeLessThanOrEqual(3);
    expect(await attack()).toEqual([0, 0]);
    now += 601_000;
    expect((await attack())[0]).toBeGreaterThan(0);
    expect(await textOf(alice, messages[2])).toBe('later');
  });
});

describe('a server that goes back to an earlier epoch', () => {
  it('gets no message that is encrypted for it: the group starts again', async () => {
    const { server, alice, bob, conversation, id, messages } = await scene();
    const eve = await setUp(server, 'eve');
    conversation.members.add('eve');
    await alice.e2ee.conversation(id).send({ text: 'with Eve' });
    const { generation, epoch, groupInfo } = conversation;
    const backup = structuredClone({ commits: conversation.commits, devices: conversation.devices });
    conversation.members.delete('eve');
    await alice.e2ee.conversation(id).send({ text: 'without Eve' });
    // The server offers the epoch in which she has the keys.
    Object.assign(conversation, { generation, epoch, groupInfo, ...backup });
    await openClient(server, 'alice', { storage: alice.storage }).then(({ e2ee }) =>
      e2ee.conversation(id).send({ text: 'after the return' }),
    );
    const { encrypted } = messages.at(-1) as StoredMessage;
    expect(encrypted.generation).toBe(generation + 1);
    expect(await textOf(bob, messages.at(-1))).toBe('after the return');
    await expect(textOf(eve, messages.at(-1))).rejects.toMatchObject({ code: /KEY_UNAVAILABLE|NOT_A_MEMBER/ });
    // Also before the first commit, and to an earlier generation.
    for (const [earlier, info] of [
      [0, null],
      [1, groupInfo],
    ] as const) {
      const used = (messages.at(-1) as StoredMessage).encrypted;
      Object.assign(conversation, { generation: 1, epoch: earlier, groupInfo: info });
      Object.assign(conversation, { commits: [], sealed: [], devices: new Map() });
      await alice.e2ee.conversation(id).send({ text: `after the return to ${earlier}` });
      const sent = (messages.at(-1) as StoredMessage).encrypted;
      expect(sent.generation).toBeGreaterThan(used.generation);
      expect(await textOf(bob, messages.at(-1))).toBe(`after the return to ${earlier}`);
      await bob.e2ee.conversation(id).send({ text: 'answer' });
      expect(await textOf(alice, messages.at(-1))).toBe('answer');
    }
  });
});

it('a former member who gets the key of a later epoch cannot write into it', async () => {
  const { server, alice, bob, conversation, id, messages } = await scene();
  const eve = await setUp(server, 'eve');
  conversation.members.add('eve');
  await eve.e2ee.conversation(id).send({ text: 'from Eve' });
  conversation.members.delete('eve');
  await alice.e2ee.conversation(id).send({ text: 'without Eve' });
  expect(await textOf(bob, messages.at(-1))).toBe('without Eve');
  const { generation, epoch, ...rest } = (messages.at(-1) as StoredMessage).encrypted;
  const [key] = (await bob.storage.get(`key:${id}:${generation}:${epoch}`)) as [Bytes];
  const { content, id: deviceId } = (await eve.storage.get('device')) as { content: { privateKey: Bytes }; id: string };
  const place = { conversationId: id, generation, epoch, deviceId, clientMessageId: 'forged', version: 1 };
  const sealed = await sealContent(key, content.privateKey, place, { text: 'forged' });
  const { device } = (messages.at(-2) as StoredMessage).encrypted;
  const forged: StoredMessage = {
    ...(messages.at(-1) as StoredMessage),
    id: 'forged',
    clientMessageId: 'forged',
    sender: { id: 'eve' },
    encrypted: { ...rest, generation, epoch, device, content: Buffer.from(sealed).toString('base64url') },
  };
  for (const client of [alice, bob]) {
    await expect(textOf(client, forged)).rejects.toMatchObject({ code: 'TAMPERED' });
    expect(await textOf(client, messages.at(-2))).toBe('from Eve');
  }
});

describe('a group', () => {
  it('whose commit is too large adds fewer devices at once, and the others join', async () => {
    for (const welcomesMax of [0, 1, 2]) {
      const { server, alice, conversation, id, messages } = await scene();
      const names = ['carol', 'dave', 'eve', 'frank', 'grace'];
      const others = await Promise.all(names.map((name) => setUp(server, name)));
      for (const name of names) conversation.members.add(name);
      Object.assign(conversation, { welcomesMax });
      const before = server.log.length;
      await alice.e2ee.conversation(id).send({ text: 'to all' });
      const commits = server.log.slice(before).filter(({ name }) => name === 'E2eeCommitGroup');
      const added = commits.map(({ input }) => (input['welcomes'] as unknown[]).length);
      expect(added[0]).toBe(5);
      expect(Math.max(...added.slice(1))).toBeLessThan(5);
      expect(commits.length).toBeLessThan(9);
      for (const client of others) expect(await textOf(client, messages.at(-1))).toBe('to all');
    }
    const { alice, conversation, id } = await scene();
    Object.assign(conversation, { welcomesMax: -1 });
    const record = (await alice.storage.get(`group:${id}`)) as object;
    await alice.storage.write({ [`group:${id}`]: { ...record, sent: 1_000 } });
    const sending = alice.e2ee.conversation(id).send({ text: 'too large' });
    await expect(sending).rejects.toMatchObject({ code: 'TOO_LARGE' });
  });

  it('whose old commits were deleted is joined again by a device that has missed them, which reads everything', async () => {
    const { server, alice, bob, conversation, id, messages } = await scene();
    for (let index = 0; index < 4; index++) {
      const record = (await alice.storage.get(`group:${id}`)) as object;
      await alice.storage.write({ [`group:${id}`]: { ...record, sent: 1_000 } });
      await alice.e2ee.conversation(id).send({ text: `in epoch ${index}` });
    }
    for (const trimmed of [conversation.commits.length - 1, conversation.commits.length]) {
      conversation.trimmed = trimmed;
      const restarted = await openClient(server, 'bob', { storage: bob.storage });
      expect(await Promise.all(messages.slice(0, 6).map((each) => textOf(restarted, each)))).toEqual([
        'from Alice',
        'from Bob',
        ...[0, 1, 2, 3].map((index) => `in epoch ${index}`),
      ]);
      await restarted.e2ee.conversation(id).send({ text: 'back' });
      expect(await textOf(alice, messages.at(-1))).toBe('back');
    }
    expect(conversation.generation).toBe(1);
  });

  it('can be started again, also if the answer is lost, and everything remains readable', async () => {
    let isLost = false;
    const { server, alice, bob, conversation, id, messages } = await scene();
    const unsteady = await openClient(server, 'alice', {
      storage: alice.storage,
      execute: async (document, variables) => {
        const answer = await server.executeAs('alice')(document, variables);
        if (isLost && /CommitGroup/.test(document)) throw Object.assign(new Error('lost'), { code: 'NETWORK' });
        return answer;
      },
    });
    isLost = true;
    await expect(unsteady.e2ee.conversation(id).reset()).rejects.toMatchObject({ code: 'NETWORK' });
    expect(conversation.generation).toBe(2);
    await alice.e2ee.conversation(id).send({ text: 'in the new group' });
    expect(conversation.generation).toBe(2);
    await bob.e2ee.conversation(id).reset();
    expect(conversation.generation).toBe(3);
    await bob.e2ee.conversation(id).send({ text: 'in the third group' });
    for (const client of [alice, bob]) {
      expect(await Promise.all(messages.map((each) => textOf(client, each)))).toEqual([
        'from Alice',
        'from Bob',
        'in the new group',
        'in the third group',
      ]);
    }
  });

  it('can forget the keys of earlier epochs on a device, and does not fetch them again', async () => {
    const { server, alice, bob, id, messages } = await scene();
    await bob.e2ee.conversation(id).reset();
    await bob.e2ee.conversation(id).send({ text: 'later' });
    expect(await textOf(alice, messages[0])).toBe('from Alice');
    await alice.e2ee.conversation(id).forgetBefore((messages[2] as StoredMessage).encrypted);
    const restarted = await openClient(server, 'alice', { storage: alice.storage });
    for (const client of [alice, restarted]) {
      await expect(textOf(client, messages[0])).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
      expect(await textOf(client, messages[2])).toBe('later');
    }
    const stored = [...(await alice.storage.list('')).keys()].filter((key) => key.startsWith(`key:${id}:1:`));
    expect(stored).toEqual([]);
    expect(await textOf(bob, messages[0])).toBe('from Alice');
  });
});
