import { describe, expect, it } from 'vitest';
import { fromBase64Url, randomBytes, toBase64Url } from '../../../packages/e2ee/src/bytes.js';
import { readDeviceList } from '../../../packages/e2ee/src/device-list.js';
import { type Execute, memoryStorage } from '../../../packages/e2ee/src/index.js';
import { type Client, devicesOf, membersOf, openClient, recover, scene, setUp, textOf } from './clients.js';
import { createFakeServer } from './fake-server.js';

// A server that answers wrongly for a while, and what remains of it: test/packages/e2ee/tampering.test.ts has found these cases.

// biome-ignore lint/suspicious/noExplicitAny: answers of many forms
type Answer = any;

/** A server whose answers to users can be changed. */
function lyingServer() {
  const server = createFakeServer();
  const lies = new Map<string, (name: string, answer: Answer) => void>();
  const { executeAs } = server;
  return {
    lies,
    server: {
      ...server,
      executeAs(userId: string): Execute {
        const execute = executeAs(userId);
        return async (document, variables) => {
          const answer = await execute(document, variables);
          lies.get(userId)?.(/(?:query|mutation) (\w+)/.exec(document)?.[1] ?? '', answer);
          return answer;
        };
      },
    },
  };
}

const send = ({ e2ee }: Client, id: string, text: string) => e2ee.conversation(id).send({ text });

/** Removes every field once, and calls `each` with its path. */
async function withoutEachField(answer: Answer, each: (path: string, changed: Answer) => Promise<void>): Promise<void> {
  const paths: string[][] = [];
  const visit = (value: Answer, path: string[]): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) {
      paths.push([...path, key]);
      visit(value[key], [...path, key]);
    }
  };
  visit(answer, []);
  for (const path of paths) {
    const changed = structuredClone(answer);
    const last = path.at(-1) as string;
    const holder = path.slice(0, -1).reduce((value, key) => value[key], changed);
    if (Array.isArray(holder)) holder[Number(last)] = null;
    else delete holder[last];
    await each(path.join('.'), changed);
  }
}

describe('a server that answers wrongly for a while', () => {
  it('causes errors with a code, whatever is missing in a message', async () => {
    const { bob, id, messages } = await scene();
    await withoutEachField(messages[0], async (path, message) => {
      const failure = await bob.e2ee
        .conversation(id)
        .open(message)
        .catch((error) => error);
      if (failure instanceof Error) expect(failure, path).toMatchObject({ name: 'E2eeError' });
    });
  });

  it('may return a position that it does not accept', async () => {
    const { lies, server } = lyingServer();
    const { alice, bob, id, messages } = await scene({}, {}, server);
    lies.set('alice', (_, answer) => {
      for (const edge of answer.node?.encryptionGroup?.commits.edges ?? []) edge.cursor = 'elsewhere';
    });
    await send(await recover(server, bob), id, 'from the phone');
    await alice.e2ee
      .conversation(id)
      .synchronize()
      .catch(() => {});
    lies.clear();
    await send(alice, id, 'afterwards');
    expect(await textOf(bob, messages.at(-1))).toBe('afterwards');
  });

  it('may not omit the kind of a conversation, which decides who can take part', async () => {
    const { lies, server } = lyingServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const conversation = server.createConversation(['alice', 'bob'], 'DIRECT');
    const { id } = conversation;
    lies.set('alice', (_, answer) => {
      if (answer.node?.kind) answer.node.kind = null;
    });
    await expect(alice.e2ee.conversation(id).enable()).rejects.toMatchObject({ code: 'INVALID_ANSWER' });
    lies.clear();
    await send(alice, id, 'to Bob');
    await send(bob, id, 'to Alice');
    const mallory = await setUp(server, 'mallory');
    conversation.members.add('mallory');
    await mallory.e2ee.conversation(id).synchronize();
    await expect(send(alice, id, 'to nobody')).rejects.toMatchObject({ code: 'UNEXPECTED_MEMBER' });
  });

  it('may name wrong keys of devices, which the account does not sign', async () => {
    const { lies, server } = lyingServer();
    const alice = await setUp(server, 'alice');
    const signed = async () => {
      const { deviceList } = server.accounts.get('alice') as { deviceList?: string };
      return (await readDeviceList(fromBase64Url(deviceList as string)))?.signatureKeys.map(toBase64Url);
    };
    const [laptop] = (await signed()) as string[];
    Object.assign(server.accounts.get('alice') as object, { deviceList: undefined, listVersion: 0 });
    lies.set('alice', (_, answer) => {
      for (const device of answer.viewer?.devices ?? []) device.signatureKey = toBase64Url(randomBytes(32));
    });
    await recover(server, alice);
    expect(await signed()).toEqual([laptop, expect.any(String)]);
  });

  it('may name another user at the set-up, whose device is then refused', async () => {
    const { lies, server } = lyingServer();
    lies.set('alice', (_, answer) => {
      if (answer.viewer) answer.viewer.user.id = 'bob';
    });
    const alice = await setUp(server, 'alice');
    lies.clear();
    await expect(alice.e2ee.start()).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
    await alice.e2ee.erase();
    await alice.e2ee.setUp({ replaceIdentity: true });
    const { id, messages } = server.createConversation(['alice', 'carol']);
    const carol = await setUp(server, 'carol');
    await alice.e2ee.conversation(id).enable();
    await send(alice, id, 'to Carol');
    expect(await textOf(carol, messages.at(-1))).toBe('to Carol');
  });

  it('may return the same page for ever', async () => {
    const { lies, server } = lyingServer();
    const { alice, id, messages } = await scene({}, {}, server);
    lies.set('alice', (_, answer) => {
      const { members, encryptionGroup } = answer.node ?? {};
      for (const list of [members, encryptionGroup?.sealedKeys, encryptionGroup?.commits])
        if (list) list.pageInfo.hasNextPage = true;
    });
    const phone = await recover(server, alice);
    await send(phone, id, 'from the phone');
    expect(await textOf(phone, messages[0])).toBe('from Alice');
  });

  it('may name devices twice', async () => {
    const { lies, server } = lyingServer();
    const [alice, bob] = [await setUp(server, 'alice'), await setUp(server, 'bob')];
    const { id, messages } = server.createConversation(['alice', 'bob']);
    lies.set('alice', (_, answer) => {
      const { devicesToAdd, devicesToRemove } = answer.node?.encryptionGroup ?? {};
      const { keyPackages } = answer.claimKeyPackages ?? {};
      for (const list of [devicesToAdd, devicesToRemove, keyPackages]) list?.push(...structuredClone(list));
    });
    await alice.e2ee.conversation(id).enable();
    await send(alice, id, 'to Bob');
    expect(await textOf(bob, messages.at(-1))).toBe('to Bob');
    await recover(server, bob);
    const [, phone] = devicesOf(server, 'bob');
    await send(alice, id, 'to both');
    server.endDevice(phone as string);
    await send(alice, id, 'to one');
    expect(await textOf(bob, messages.at(-1))).toBe('to one');
  });

  it('may store a tree that cannot be read', async () => {
    const { server, alice, bob, conversation, id, messages } = await scene();
    const bytes = Buffer.from(conversation.groupInfo as string, 'base64url');
    // The node types of the tree.
    const at = bytes.length - 600;
    bytes.fill(0xff, at, at + 300);
    conversation.groupInfo = bytes.toString('base64url');
    const restarted = await openClient(server, 'alice', { storage: alice.storage });
    await send(restarted, id, 'afterwards');
    expect(await textOf(bob, messages.at(-1))).toBe('afterwards');
    // Others can join again.
    expect(await textOf(await recover(server, bob), messages.at(-1))).toBe('afterwards');
  });

  it('may name a device by the id of another one', async () => {
    const { lies, server } = lyingServer();
    const { alice, bob, id, messages } = await scene({}, {}, server);
    const phone = await recover(server, alice);
    await send(phone, id, 'from the phone');
    const [first] = devicesOf(server, 'alice');
    lies.set('alice', (_, answer) => {
      if (answer.registerDevice) answer.registerDevice.device.id = first;
    });
    const restarted = await openClient(server, 'alice', { storage: phone.storage });
    await restarted.e2ee.start().catch(() => {});
    lies.clear();
    await send(restarted, id, 'afterwards');
    expect(await textOf(bob, messages.at(-1))).toBe('afterwards');
  });

  it('may show an edit as one of another message', async () => {
    const { server, alice, bob, id, messages } = await scene();
    const [first, second] = messages;
    const key = first?.clientMessageId as string;
    const encrypted = await alice.e2ee.conversation(id).encrypt(key, { text: 'edited' }, { version: 2 });
    await server.executeAs('alice')('mutation EditMessage', { input: { messageId: first?.id, encrypted } });
    await textOf(bob, { ...(first as (typeof messages)[0]), id: second?.id as string });
    const restarted = await openClient(server, 'bob', { storage: bob.storage });
    expect(await textOf(restarted, second)).toBe('from Bob');
  });

  it('may state that an account has no keys, without making a former recovery key valid', async () => {
    const { lies, server } = lyingServer();
    const alice = await setUp(server, 'alice');
    const phone = await recover(server, alice);
    await alice.e2ee.changeRecoveryKey();
    lies.set('alice', (_, answer) => {
      if (answer.viewer?.accountKeys) answer.viewer.accountKeys = null;
    });
    await expect(phone.e2ee.start()).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' });
    lies.clear();
    expect(await phone.e2ee.start()).toBe(true);
    await recover(server, alice);
  });

  it('may make a member remove another one without a trace, who can read what is sent later', async () => {
    const { lies, server } = lyingServer();
    const storage = memoryStorage();
    const { alice, bob, conversation, id, messages } = await scene({}, { storage }, server);
    conversation.members.add('carol');
    const carol = await setUp(server, 'carol');
    await send(carol, id, 'from Carol');
    lies.set('alice', (_, answer) => {
      const { members, encryptionGroup } = answer.node ?? {};
      const isOther = ({ user }: { user: { id: string } }) => user.id !== 'bob';
      if (encryptionGroup?.devices) encryptionGroup.devices = encryptionGroup.devices.filter(isOther);
      if (members) members.edges = members.edges.filter(({ node }: Answer) => isOther(node));
    });
    const restarted = await openClient(server, 'alice', { storage: alice.storage });
    await send(restarted, id, 'without Bob');
    expect(await membersOf(restarted, id)).not.toContain('bob');
    lies.clear();
    const again = await openClient(server, 'carol', { storage: carol.storage });
    await send(again, id, 'to all');
    expect(await textOf(bob, messages.at(-1))).toBe('to all');
  });
});
