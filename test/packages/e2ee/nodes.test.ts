import { beforeAll, describe, expect, it } from 'vitest';
import {
  type AttachmentSecret,
  decryptAttachment,
  type E2ee,
  type EncryptedMessage,
  encryptAttachment,
  encryptedMessageFields,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../../packages/e2ee/src/index.js';
import type { RunningNode } from '../../../src/server/start.js';
import { type Person, registerAll } from '../../support/client.js';
import { attachmentOf, open as openFile, uploaded } from '../../support/media.js';
import { inOneMode, modes, sharedTwo } from '../../support/place.js';
import { openAlone } from '../../support/tabs.js';
import { attempt, createGroup, openDirect } from '../../support/talk.js';

const MESSAGES = `query ($id: ID!) {
  node(id: $id) { ... on Conversation { messages(last: 100) { nodes { text ${encryptedMessageFields} } } } }
}`;

describe.each(modes)('encryption between real nodes in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let nodes: [RunningNode, RunningNode];

  beforeAll(async () => {
    nodes = await sharedTwo(mode);
  });

  /** A device of a user at one of the nodes. */
  async function open(person: Person, at = 0) {
    const parley = openAlone({ url: (nodes[at] as RunningNode).url });
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    const e2ee = await openE2ee({
      storage: memoryStorage(),
      locks: memoryLocks(),
      execute: (document, variables) => parley.request(document, variables),
    });
    return { person, parley, e2ee };
  }

  type Opened = Awaited<ReturnType<typeof open>>;

  async function setUp(person: Person, at?: number): Promise<Opened> {
    const opened = await open(person, at);
    await opened.e2ee.setUp({ name: 'Laptop' });
    return opened;
  }

  async function recover(first: Opened, at?: number): Promise<Opened> {
    const opened = await open(first.person, at);
    await opened.e2ee.recover((await first.e2ee.recoveryKey()) as string, { name: 'Phone' });
    return opened;
  }

  const messagesOf = async ({ person }: Opened, id: string): Promise<(EncryptedMessage & { text: string | null })[]> =>
    (await person.ask(MESSAGES, { id })).node.messages.nodes;

  async function textsOf(opened: Opened, id: string) {
    const messages = (await messagesOf(opened, id)).filter(({ encrypted }) => encrypted);
    const conversation = opened.e2ee.conversation(id);
    return Promise.all(
      messages.map(async (message) =>
        conversation.open(message).then(
          ({ content }) => content.text,
          (error) => error.code,
        ),
      ),
    );
  }

  const send = ({ e2ee }: { e2ee: E2ee }, id: string, text: string) => e2ee.conversation(id).send({ text });

  it('all devices read what is sent and edited, and the server has no text', async () => {
    const [ana, ben] = await registerAll(nodes[0].url, 'ana', 'ben');
    const [laptop, other] = [await setUp(ana), await setUp(ben, 1)];
    const id = await openDirect(ana, ben);
    await laptop.e2ee.conversation(id).enable();
    await send(laptop, id, 'from Ana');
    await send(other, id, 'from Ben');
    const phone = await recover(other);
    await send(phone, id, 'from the phone');
    for (const opened of [laptop, other, phone]) {
      expect(await textsOf(opened, id)).toEqual(['from Ana', 'from Ben', 'from the phone']);
    }
    const [first] = (await messagesOf(laptop, id)).filter(({ encrypted }) => encrypted);
    const conversation = laptop.e2ee.conversation(id);
    const encrypted = await conversation.encrypt(first?.clientMessageId as string, { text: 'edited' }, { version: 2 });
    await attempt(ana, 'editMessage', { messageId: first?.id, encrypted });
    expect(await textsOf(other, id)).toEqual(['edited', 'from Ben', 'from the phone']);
    expect((await messagesOf(other, id)).map(({ text }) => text)).not.toContain('edited');
    // The recovered device was not there when the first messages were sent, and needs nobody else.
    expect(await textsOf(await recover(laptop, 1), id)).toEqual(['edited', 'from Ben', 'from the phone']);
  });

  it('of two devices that set up an account at once, one recovers; removed devices get nothing more', async () => {
    const [ana, ben] = await registerAll(nodes[0].url, 'ana', 'ben');
    const opened = [await open(ana), await open(ana, 1)];
    const results = await Promise.allSettled(opened.map(({ e2ee }) => e2ee.setUp()));
    const failed = results.findIndex(({ status }) => status === 'rejected');
    expect(results[failed]).toMatchObject({ reason: { code: 'NOT_SET_UP' } });
    const [loser, winner] = [opened[failed], opened[1 - failed]] as [Opened, Opened];
    await loser.e2ee.recover((await winner.e2ee.recoveryKey()) as string);
    const other = await setUp(ben, 1);
    const id = await openDirect(ana, ben);
    await other.e2ee.conversation(id).enable();
    await send(other, id, 'to both');
    for (const each of [winner, loser]) expect(await textsOf(each, id)).toEqual(['to both']);
    const devicesOf = async () => (await ana.ask('{ viewer { devices { id } } }')).viewer.devices as { id: string }[];
    const [, second] = await devicesOf();
    await winner.e2ee.removeDevice(second?.id as string);
    await winner.e2ee.changeRecoveryKey({ rotateHistoryKey: true });
    await send(other, id, 'to one');
    expect(await textsOf(winner, id)).toEqual(['to both', 'to one']);
    expect(await textsOf(loser, id)).toEqual(['to both', 'KEY_UNAVAILABLE']);
    const fresh = await open(ana);
    await fresh.e2ee.setUp({ replaceIdentity: true });
    expect(await devicesOf()).toHaveLength(1);
    await send(fresh, id, 'with a new identity');
    await send(other, id, 'to the new identity');
    const all = ['to both', 'to one', 'with a new identity', 'to the new identity'];
    expect(await textsOf(other, id)).toEqual(all);
    expect((await textsOf(fresh, id)).slice(2)).toEqual(all.slice(2));
    expect((await textsOf(winner, id)).slice(0, 2)).toEqual(all.slice(0, 2));
    expect((await textsOf(winner, id)).at(-1)).not.toBe('to the new identity');
  });

  it('a member who stores a commit and a group info that nobody can read keeps nobody from sending', async () => {
    const [ana, ben, cleo] = await registerAll(nodes[0].url, 'ana', 'ben', 'cleo');
    const [first, second, third] = [await setUp(ana), await setUp(ben, 1), await setUp(cleo)];
    const id = await createGroup(ana, [ben, cleo]);
    await first.e2ee.conversation(id).enable();
    await send(first, id, 'before');
    await third.e2ee.conversation(id).synchronize();
    const GROUP = `query ($id: ID!) {
      node(id: $id) { ... on Conversation { encryptionGroup { generation epoch } } } viewer { devices { id } }
    }`;
    const { node, viewer } = await cleo.ask(GROUP, { id });
    const { generation, epoch } = node.encryptionGroup;
    const garbage = { commit: 'AAAA', groupInfo: 'AAAA' };
    const input = { conversationId: id, deviceId: viewer.devices[0].id, generation, epoch, ...garbage };
    await attempt(cleo, 'commitGroup', input);
    expect((await cleo.ask(GROUP, { id })).node.encryptionGroup).toEqual({ generation, epoch: epoch + 1 });
    await send(second, id, 'after');
    await send(first, id, 'and again');
    expect((await cleo.ask(GROUP, { id })).node.encryptionGroup.generation).toBe(generation + 1);
    for (const opened of [first, second, third]) {
      expect(await textsOf(opened, id)).toEqual(['before', 'after', 'and again']);
    }
  });

  it('members who enable, join and send at once on two nodes read everything', async () => {
    const people = await registerAll(nodes[0].url, 'ana', 'ben', 'cleo', 'dan', 'eva', 'finn');
    const opened = await Promise.all(people.map((person, index) => setUp(person, index % 2)));
    const [owner] = opened as [Opened];
    const id = await createGroup(owner.person, people.slice(1));
    await owner.e2ee.conversation(id).enable();
    await Promise.all(opened.map((each) => send(each, id, `by ${each.person.username}`)));
    const expected = people.map(({ username }) => `by ${username}`).sort();
    for (const each of opened) expect((await textsOf(each, id)).sort()).toEqual(expected);
  });

  it('removed members and devices read nothing later, and the others continue', async () => {
    const [ana, ben, cleo] = await registerAll(nodes[0].url, 'ana', 'ben', 'cleo');
    const [one, two, three] = [await setUp(ana), await setUp(ben, 1), await setUp(cleo)];
    const id = await createGroup(ana, [ben, cleo]);
    await one.e2ee.conversation(id).enable();
    await send(three, id, 'one');
    expect(await textsOf(two, id)).toEqual(['one']);
    const phone = await recover(two);
    expect(await textsOf(phone, id)).toEqual(['one']);
    await attempt(ana, 'removeMember', { conversationId: id, userId: cleo.id });
    await send(two, id, 'without Cleo');
    const sent = (await messagesOf(one, id)).filter(({ encrypted }) => encrypted);
    const later = three.e2ee.conversation(id).open(sent.at(-1) as EncryptedMessage);
    await expect(later).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    const [first] = (await phone.e2ee.conversation(id).members()).filter(({ userId }) => userId === ben.id);
    const devices = (await ben.ask('{ viewer { devices { id signatureKey } } }')).viewer.devices;
    expect(first && devices).toHaveLength(2);
    await attempt(ben, 'removeDevice', { deviceId: devices[1].id });
    await send(one, id, 'without the phone');
    const last = (await messagesOf(one, id)).at(-1) as EncryptedMessage;
    expect(await textsOf(two, id)).toEqual(['one', 'without Cleo', 'without the phone']);
    await expect(phone.e2ee.conversation(id).send({ text: 'lost' })).rejects.toMatchObject({
      code: expect.stringMatching(/NOT_A_MEMBER|NOT_FOUND/),
    });
    expect(last.encrypted?.epoch).toBeGreaterThan(sent.at(-1)?.encrypted?.epoch as number);
    // Who is added again reads what is sent from then on.
    await attempt(ana, 'addMembers', { conversationId: id, userIds: [cleo.id] });
    await send(one, id, 'with Cleo again');
    expect((await textsOf(three, id)).at(-1)).toBe('with Cleo again');
  });

  itOnce('files of messages are encrypted, and opened by the other members', async () => {
    const [ana, ben] = await registerAll(nodes[0].url, 'ana', 'ben');
    const [one, two] = [await setUp(ana), await setUp(ben, 1)];
    const id = await openDirect(ana, ben);
    await one.e2ee.conversation(id).enable();
    const text = 'the secret content of a file '.repeat(1_000);
    const { blob, secret } = await encryptAttachment(new Blob([text]), { name: 'plan.txt', mimeType: 'text/plain' });
    const bytes = Buffer.from(await blob.arrayBuffer());
    expect(bytes.includes('secret content')).toBe(false);
    const attachment = await uploaded(nodes[0].url, ana, bytes, { kind: 'FILE', filename: 'file' });
    await one.e2ee
      .conversation(id)
      .send({ text: 'Look', attachments: { [attachment.id]: secret } }, { attachmentIds: [attachment.id] });
    const message = (await messagesOf(two, id)).at(-1) as EncryptedMessage;
    const { content } = await two.e2ee.conversation(id).open(message);
    const { path } = await attachmentOf(ben, attachment.id);
    const stored = await (await openFile(nodes[1].url, ben, path)).blob();
    const [, received] = Object.entries(content.attachments ?? {})[0] as [string, AttachmentSecret];
    const opened = await decryptAttachment(stored, received);
    expect(opened.type).toBe('text/plain');
    expect(await opened.text()).toBe(text);
  });
});
