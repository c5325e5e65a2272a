import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId, encodeGlobalId, newId } from '../../src/core/ids.js';
import { trimCommits } from '../../src/domain/encryption/group.store.js';
import type { RunningNode } from '../../src/server/start.js';
import { ask, connectInTest, type Json, listen, type Person, registerAll } from '../support/client.js';
import {
  bytes,
  COMMIT,
  call,
  claim,
  commit,
  commitInput,
  ENCRYPTED,
  enable,
  findContradictions,
  groupOf,
  must,
  publish,
  registerDevice,
  sendSealed,
  startGroup,
  type TestDevice,
} from '../support/encryption.js';
import { inOneMode, modes, sharedTwo } from '../support/place.js';
import { createGroup, openDirect, send } from '../support/talk.js';

const rowOf = (id: string) => decodeGlobalId(id, 'id').id;
const ids = (devices: readonly { id: string }[]) => devices.map(({ id }) => id);

describe.each(modes)('encryption in %s mode', (mode) => {
  const itOnce = inOneMode(mode, it);
  let node: RunningNode;
  let other: RunningNode;
  let ana: Person;
  let bob: Person;
  let carol: Person;
  let eve: Person;
  let anas: TestDevice;
  let bobs: TestDevice;
  let carols: TestDevice;
  beforeAll(async () => {
    [node, other] = await sharedTwo(mode, { DEVICES_PER_PERSON_MAX: '4', KEY_PACKAGES_MAX: '5' });
    [ana, bob, carol, eve] = await registerAll(node.url, 'ana', 'bob', 'carol', 'eve');
    [anas, bobs, carols] = await Promise.all(
      [ana, bob, carol].map((person) => registerDevice(person)) as [
        Promise<TestDevice>,
        Promise<TestDevice>,
        Promise<TestDevice>,
      ],
    );
  });

  /** An encrypted group of these users, with their devices, in epoch 1. */
  async function encryptedGroup(people = [bob, carol], devices = [bobs, carols]): Promise<string> {
    const id = await createGroup(ana, people);
    await enable(ana, id);
    await startGroup(id, [anas, ...devices]);
    return id;
  }

  afterAll(async () => {
    expect(await findContradictions(node.deps.database.db)).toEqual([]);
  });

  describe('devices', () => {
    it('are registered once for each signature key, listed, and removed for good', async () => {
      const [person] = await registerAll(node.url, 'owner');
      const device = await registerDevice(person, { name: 'Phone' });
      const again = await must(
        person,
        'registerDevice',
        { name: 'New phone', signatureKey: device.signatureKey, certificate: bytes() },
        'device { id name }',
      );
      expect(again.device).toEqual({ id: device.id, name: 'New phone' });
      // The user can have renamed it since it was registered for the first time.
      const input = { signatureKey: device.signatureKey, certificate: bytes() };
      expect((await must(person, 'registerDevice', input, 'device { name }')).device).toEqual({ name: 'New phone' });
      const listed = async () => ids((await person.ask('{ viewer { devices { id } } }')).viewer.devices);
      expect(await listed()).toEqual([device.id]);
      await must(person, 'removeDevice', { deviceId: device.id });
      await must(person, 'removeDevice', { deviceId: device.id });
      expect(await listed()).toEqual([]);
      expect(await call(person, 'registerDevice', input)).toBe('CONFLICT DEVICE_REMOVED input.signatureKey');
      expect(await call(ana, 'registerDevice', input)).toBe('CONFLICT input.signatureKey');
      expect(await call(ana, 'removeDevice', { deviceId: device.id })).toBe('NOT_FOUND input.deviceId');
    });

    it('are renamed by their user only, from any session', async () => {
      const [person] = await registerAll(node.url, 'owner');
      await registerDevice(person, { name: 'Phone' });
      const laptop = await registerDevice(person);
      const names = async () =>
        (await person.ask('{ viewer { devices { name } } }')).viewer.devices.map(({ name }: Json) => name);
      const rename = (who: Person, more: Json) =>
        call(who, 'renameDevice', { deviceId: laptop.id, ...more }, 'device { id name }');
      expect(await rename(person.at(other.url), { name: ' Laptop ' })).toEqual({
        device: { id: laptop.id, name: 'Laptop' },
      });
      await rename(person, { name: 'Laptop' });
      await rename(person, {});
      expect(await names()).toEqual(['Phone', 'Laptop']);
      expect(await rename(person, { name: 'x'.repeat(81) })).toBe('BAD_USER_INPUT input.name');
      expect(await rename(ana, { name: 'Not mine' })).toBe('NOT_FOUND input.deviceId');
      await rename(person, { name: null });
      expect(await names()).toEqual(['Phone', null]);
    });

    itOnce('are limited in number, also when they are registered at the same time', async () => {
      const [person] = await registerAll(node.url, 'full');
      const results = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          call(index % 2 ? person : person.at(other.url), 'registerDevice', {
            signatureKey: bytes(),
            certificate: bytes(),
          }),
        ),
      );
      expect(results.filter((result) => result === 'FORBIDDEN')).toHaveLength(4);
    });

    itOnce('of two that set up the keys of the account at once, one is refused, and a retry is not', async () => {
      const [one] = await registerAll(node.url, 'setup');
      const keys = (vault: string, replaces?: string) => ({
        identityKey: bytes(),
        historyKey: bytes(),
        signature: bytes(),
        vault,
        replaces,
      });
      const hash = (text: string) => createHash('sha256').update(Buffer.from(text, 'base64url')).digest('base64url');
      const [first, second] = [keys(bytes(), ''), keys(bytes(), '')];
      const results = await Promise.all([
        call(one, 'setAccountKeys', first),
        call(one.at(other.url), 'setAccountKeys', second),
      ]);
      expect(results.filter((each) => each === 'CONFLICT ACCOUNT_KEYS_CHANGED input.replaces')).toHaveLength(1);
      const winner = typeof results[0] === 'string' ? second : first;
      await must(one, 'setAccountKeys', winner);
      const stored = async () => (await one.ask('{ viewer { accountKeys { vault } } }')).viewer.accountKeys.vault;
      expect(await stored()).toBe(winner.vault);
      const next = keys(bytes(), hash(winner.vault));
      await must(one, 'setAccountKeys', next);
      // The answer was lost, and meanwhile nobody else has changed them.
      await must(one, 'setAccountKeys', next);
      expect(await call(one, 'setAccountKeys', keys(bytes(), hash(winner.vault)))).toBe(
        'CONFLICT ACCOUNT_KEYS_CHANGED input.replaces',
      );
      expect(await stored()).toBe(next.vault);
      await must(one, 'setAccountKeys', keys(bytes()));
    });

    it('have a list, of which each version is stored once', async () => {
      const [one, two] = await registerAll(node.url, 'one', 'two');
      const lists = Array.from({ length: 6 }, () => bytes());
      const keys = () => ({ identityKey: bytes(), historyKey: bytes(), signature: bytes(), vault: bytes() });
      const set = (version: number, deviceList: string) => call(one, 'setDeviceList', { version, deviceList });
      expect(await set(1, lists[0] as string)).toBe('NOT_FOUND input');
      await must(one, 'setAccountKeys', keys());
      const results = await Promise.all(lists.map((each) => set(1, each)));
      expect(results.filter((each) => each === 'CONFLICT STALE_DEVICE_LIST input.version')).toHaveLength(5);
      const stored = lists[results.findIndex((each) => typeof each !== 'string')] as string;
      expect(await set(1, stored)).toEqual({ __typename: 'SetDeviceListPayload' });
      expect(await set(0, bytes())).toBe('BAD_USER_INPUT input.version');
      const QUERY = 'query ($user: ID!) { user(id: $user) { deviceList } }';
      expect((await two.ask(QUERY, { user: one.id })).user.deviceList).toBeNull();
      await openDirect(one, two);
      expect((await two.ask(QUERY, { user: one.id })).user.deviceList).toBe(stored);
      // The keys of the account can change, and the versions continue.
      await must(one, 'setAccountKeys', keys());
      expect(await set(1, bytes())).toBe('CONFLICT STALE_DEVICE_LIST input.version');
      await must(one, 'setDeviceList', { version: 2, deviceList: lists[1] });
      expect((await two.ask(QUERY, { user: one.id })).user.deviceList).toBe(lists[1]);
    });

    itOnce('are visible to those who share a conversation, without their names', async () => {
      const [one, two] = await registerAll(node.url, 'one', 'two');
      const device = await registerDevice(one, { name: 'Laptop' });
      await must(one, 'setAccountKeys', {
        identityKey: 'aWQ',
        historyKey: 'aGk',
        signature: 'c2k',
        vault: 'dmE',
      });
      const QUERY = `query ($user: ID!, $device: ID!) {
        user(id: $user) { devices { id name } identityKey historyKey historyKeySignature }
        node(id: $device) { id }
      }`;
      const variables = { user: one.id, device: device.id };
      expect(await two.ask(QUERY, variables)).toEqual({
        user: { devices: null, identityKey: null, historyKey: null, historyKeySignature: null },
        node: null,
      });
      await openDirect(one, two);
      expect(await two.ask(QUERY, variables)).toEqual({
        user: {
          devices: [{ id: device.id, name: null }],
          identityKey: 'aWQ',
          historyKey: 'aGk',
          historyKeySignature: 'c2k',
        },
        node: { id: device.id },
      });
      const own = await one.ask(
        '{ viewer { devices { name } accountKeys { identityKey historyKey signature vault } } }',
      );
      expect(own.viewer).toEqual({
        devices: [{ name: 'Laptop' }],
        accountKeys: { identityKey: 'aWQ', historyKey: 'aGk', signature: 'c2k', vault: 'dmE' },
      });
    });

    it('end with their session, and continue when they are registered again', async () => {
      const [person] = await registerAll(node.url, 'signing');
      const device = await registerDevice(person);
      const group = await createGroup(ana, [person]);
      await enable(ana, group);
      await startGroup(group, [anas, device]);
      await node.deps.database.db.session.updateMany({
        where: { userId: rowOf(person.id) },
        data: { endedAt: new Date() },
      });
      expect(ids((await groupOf(ana, group)).devicesToRemove)).toEqual([device.id]);
      expect(await sendSealed(anas, group, 1)).toBe('CONFLICT REKEY');
      const { login } = await ana.ask(
        'mutation ($input: LoginInput!) { login(input: $input) { tokens { accessToken } } }',
        { input: { usernameOrEmail: person.email, password: person.password } },
      );
      const input = { signatureKey: device.signatureKey, certificate: bytes() };
      const registered = await ask(
        node.url,
        'mutation ($input: RegisterDeviceInput!) { registerDevice(input: $input) { device { id } } }',
        { input },
        login.tokens.accessToken,
      );
      expect(registered.registerDevice.device.id).toBe(device.id);
      expect((await groupOf(ana, group)).devicesToRemove).toEqual([]);
      expect(await sendSealed(anas, group, 1)).toMatchObject({ text: null });
    });

    itOnce('reject bytes that are empty, too long or not base64url', async () => {
      const register = (signatureKey: string) => call(eve, 'registerDevice', { signatureKey, certificate: bytes() });
      expect(await register('')).toBe('BAD_USER_INPUT input.signatureKey');
      expect(await register(bytes(8193))).toBe('BAD_USER_INPUT input.signatureKey');
      expect(await register('a+b=')).toBe('BAD_USER_INPUT input.signatureKey');
      expect(await register('aB')).toBe('BAD_USER_INPUT input.signatureKey');
    });
  });

  describe('key packages', () => {
    it('are given out once, oldest first, then the last resort, and never again', async () => {
      const [person] = await registerAll(node.url, 'keys');
      const device = await registerDevice(person);
      const direct = await openDirect(ana, person);
      await enable(ana, direct);
      expect(await claim(ana, direct, [device])).toEqual([]);
      const [first, second, last] = [bytes(), bytes(), bytes()];
      expect(await publish(device, [first])).toBe(1);
      expect(await publish(device, [first, second], last)).toBe(2);
      const claimed = [];
      for (let n = 0; n < 4; n += 1) claimed.push(...(await claim(ana, direct, [device])));
      expect(claimed).toEqual([
        { keyPackage: first, lastResort: false, device: { id: device.id } },
        { keyPackage: second, lastResort: false, device: { id: device.id } },
        { keyPackage: last, lastResort: true, device: { id: device.id } },
        { keyPackage: last, lastResort: true, device: { id: device.id } },
      ]);
      // A retry of the publication, whose answer was lost.
      expect(await publish(device, [first, second])).toBe(0);
      const newer = bytes();
      await publish(device, [], newer);
      expect((await claim(ana, direct, [device]))[0]?.keyPackage).toBe(newer);
      const few = Array.from({ length: 6 }, () => bytes());
      const input = { deviceId: device.id, keyPackages: few };
      expect(await call(person, 'publishKeyPackages', input)).toBe('FORBIDDEN input.keyPackages');
      expect(await publish(device, few.slice(0, 5))).toBe(5);
      expect(await call(person, 'publishKeyPackages', { ...input, keyPackages: few.slice(5) })).toBe(
        'FORBIDDEN input.keyPackages',
      );
      expect(await call(ana, 'publishKeyPackages', { ...input, keyPackages: few.slice(5) })).toBe(
        'NOT_FOUND input.deviceId',
      );
    });

    itOnce('are each given to one of 100 simultaneous claims', async () => {
      const [person] = await registerAll(node.url, 'wanted');
      const device = await registerDevice(person);
      const packages = Array.from({ length: 5 }, () => bytes());
      await publish(device, packages, bytes());
      const group = await createGroup(ana, [bob, person]);
      await enable(ana, group);
      const claims = await Promise.all(
        Array.from({ length: 100 }, (_, index) => {
          const by = index % 2 ? ana : bob;
          return claim(index % 4 < 2 ? by : by.at(other.url), group, [device]);
        }),
      );
      const given = claims.flat();
      expect(given).toHaveLength(100);
      const once = given.filter(({ lastResort }) => !lastResort).map(({ keyPackage }) => keyPackage);
      expect(once.sort()).toEqual([...packages].sort());
    });

    it('are given only to members of an encrypted conversation, of devices of members', async () => {
      const group = await createGroup(ana, [bob]);
      const input = { conversationId: group, deviceIds: [bobs.id, carols.id] };
      expect(await call(ana, 'claimKeyPackages', { ...input, deviceIds: [bobs.id] })).toBe(
        'CONFLICT NOT_ENCRYPTED input.conversationId',
      );
      await enable(ana, group);
      expect(await call(ana, 'claimKeyPackages', input)).toBe('NOT_FOUND input.deviceIds.1');
      expect(await call(eve, 'claimKeyPackages', { ...input, deviceIds: [bobs.id] })).toBe(
        'NOT_FOUND input.conversationId',
      );
    });
  });

  describe('enabling', () => {
    it('is possible in direct conversations and private groups, once and for good', async () => {
      const group = await createGroup(ana, [bob]);
      expect(await call(bob, 'enableEncryption', { conversationId: group })).toBe('FORBIDDEN input.conversationId');
      expect(await call(eve, 'enableEncryption', { conversationId: group })).toBe('NOT_FOUND input.conversationId');
      const stream = listen(
        connectInTest(other.url, bob.token),
        'subscription { conversations { type conversation { id encryption } } }',
        {},
        'conversations',
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      expect((await enable(ana, group)).conversation.encryption).toBe('END_TO_END');
      await stream.until(({ conversation }) => conversation?.id === group && conversation.encryption === 'END_TO_END');
      await enable(ana, group);
      expect(await groupOf(bob, group)).toMatchObject({ generation: 1, epoch: 0, groupInfo: null });
      const direct = await openDirect(bob, carol);
      await enable(carol, direct);
      const open = await createGroup(ana, [bob], { visibility: 'PUBLIC' });
      expect(await call(ana, 'enableEncryption', { conversationId: open })).toBe('FORBIDDEN input.conversationId');
      expect(await call(ana, 'updateGroup', { conversationId: group, visibility: 'PUBLIC' })).toBe(
        'FORBIDDEN ENCRYPTED input.visibility',
      );
      const { db } = node.deps.database;
      await expect(
        db.conversation.update({ where: { id: rowOf(group) }, data: { encryption: 'NONE' } }),
      ).rejects.toThrow();
    });

    it('makes the database refuse texts', async () => {
      const group = await createGroup(ana, [bob]);
      const { id } = await send(ana, group, 'in plain text');
      await enable(ana, group);
      expect(await call(bob, 'sendMessage', { conversationId: group, text: 'hello' })).toBe(
        'CONFLICT ENCRYPTED input.text',
      );
      expect(await call(ana, 'editMessage', { messageId: id, text: 'hello' })).toBe('CONFLICT ENCRYPTED input.text');
      const { db } = node.deps.database;
      const row = await db.message.findUniqueOrThrow({ where: { id: rowOf(id) } });
      await expect(db.message.update({ where: { id: row.id }, data: { text: 'other' } })).rejects.toThrow(
        /must not have a text/,
      );
      await expect(
        db.message.create({
          data: {
            id: crypto.randomUUID(),
            conversationId: row.conversationId,
            seq: 99,
            senderId: row.senderId,
            text: 'x',
          },
        }),
      ).rejects.toThrow(/must not have a text/);
    });
  });

  describe('commits', () => {
    it('are stored once for each epoch, in order, with what belongs to them', async () => {
      const group = await createGroup(ana, [bob, carol]);
      await enable(ana, group);
      const first = commitInput(anas, group, 0, {
        addedDeviceIds: [bobs.id],
        welcomes: [{ deviceId: bobs.id, welcome: 'd2VsY29tZQ' }],
        sealedKeys: [{ userId: carol.id, epoch: 1, sealed: 'c2VhbGVk' }],
      });
      const stored = await must(ana, 'commitGroup', first, COMMIT);
      expect(stored.commit).toMatchObject({ generation: 1, epoch: 0, commit: first.commit, device: { id: anas.id } });
      expect((await must(ana, 'commitGroup', first, COMMIT)).commit).toEqual(stored.commit);
      expect(await commit(bobs, group, 0)).toBe('CONFLICT STALE_EPOCH');
      const { errors } = await bob.request(
        'mutation ($input: CommitGroupInput!) { commitGroup(input: $input) { __typename } }',
        { input: commitInput(bobs, group, 0) },
      );
      expect(errors?.[0]?.extensions).toMatchObject({ reason: 'STALE_EPOCH', generation: 1, epoch: 1 });
      expect(await groupOf(carol, group)).toMatchObject({
        epoch: 1,
        groupInfo: first.groupInfo,
        devices: expect.arrayContaining([{ id: anas.id }, { id: bobs.id }]),
        devicesToRemove: [],
        devicesToAdd: [{ id: carols.id }],
        commits: { nodes: [stored.commit] },
        sealedKeys: { nodes: [{ generation: 1, epoch: 1, sealed: 'c2VhbGVk' }] },
      });
      const WELCOME = `query ($id: ID!, $device: ID!) { conversation(id: $id) { encryptionGroup { welcome(deviceId: $device) } } }`;
      const welcome = async (person: Person) =>
        (await person.ask(WELCOME, { id: group, device: bobs.id })).conversation.encryptionGroup.welcome;
      expect(await welcome(bob)).toBe('d2VsY29tZQ');
      expect(await welcome(ana)).toBeNull();
      await must(bob, 'commitGroup', commitInput(bobs, group, 1), COMMIT);
      expect(await welcome(bob)).toBeNull();
      // A device joins by itself.
      expect(await commit(carols, group, 2)).toMatchObject({ commit: { epoch: 2 } });
      expect((await groupOf(ana, group)).devicesToAdd).toEqual([]);
    });

    itOnce('fit into a request, and are refused if they are larger than the setting allows', async () => {
      const group = await encryptedGroup();
      const { groupCommitMaxBytes, sealedKeysMax } = node.deps.config;
      const part = Math.floor(groupCommitMaxBytes / 3);
      const late = await registerDevice(carol);
      const largest = {
        commit: bytes(part),
        groupInfo: bytes(part),
        addedDeviceIds: [late.id],
        welcomes: [{ deviceId: late.id, welcome: bytes(groupCommitMaxBytes - 2 * part) }],
        // Of users who are not members, which is noticed after the whole request was read.
        sealedKeys: Array.from({ length: sealedKeysMax }, (_, index) => ({
          userId: encodeGlobalId('User', newId()),
          epoch: index % 2,
          sealed: bytes(80),
        })),
      };
      expect(await commit(anas, group, 1, largest)).toBe('NOT_FOUND input.sealedKeys.0.userId');
      expect(await commit(anas, group, 1, { ...largest, groupInfo: bytes(part + 1) })).toBe(
        'BAD_USER_INPUT input.welcomes',
      );
      expect(await commit(anas, group, 1, { commit: bytes(part * 2), groupInfo: bytes(part * 2) })).toBe(
        'BAD_USER_INPUT input.groupInfo',
      );
      expect(await commit(anas, group, 1, { ...largest, sealedKeys: [] })).toMatchObject({ commit: { epoch: 1 } });
      await must(carol, 'removeDevice', { deviceId: late.id });
    });

    it('are deleted after the retention period, and pages of the others continue', async () => {
      const group = await encryptedGroup();
      for (let epoch = 1; epoch < 6; epoch++) await must(ana, 'commitGroup', commitInput(anas, group, epoch), COMMIT);
      const QUERY = `query ($id: ID!, $after: String, $first: Int) { conversation(id: $id) { encryptionGroup { epoch
        commits(first: $first, after: $after) { edges { cursor node { epoch } } pageInfo { hasNextPage } } } } }`;
      const page = async (first: number, after?: string) =>
        (await bob.ask(QUERY, { id: group, first, after })).conversation.encryptionGroup;
      const epochs = ({ commits }: Json) => commits.edges.map(({ node: { epoch } }: Json) => epoch);
      const [before, middle] = [await page(1), await page(4)];
      const { db } = node.deps.database;
      await db.groupCommit.updateMany({
        where: { conversationId: rowOf(group), epoch: { lt: 3 } },
        data: { createdAt: new Date(Date.now() - 100_000) },
      });
      expect(await trimCommits(db, 90_000)).toBe(3);
      expect(await trimCommits(db, 90_000)).toBe(0);
      expect(epochs(await page(10))).toEqual([3, 4, 5]);
      expect(epochs(await page(10, before.commits.edges[0].cursor))).toEqual([3, 4, 5]);
      expect(epochs(await page(10, middle.commits.edges[3].cursor))).toEqual([4, 5]);
      expect(await page(10)).toMatchObject({ epoch: 6, commits: { pageInfo: { hasNextPage: false } } });
      // A repetition of a deleted commit is like that of another one.
      expect(await commit(anas, group, 1)).toBe('CONFLICT STALE_EPOCH');
      // The test at the end expects a commit for each epoch.
      await db.conversation.delete({ where: { id: rowOf(group) } });
    });

    itOnce('of 50 simultaneous ones store one for each epoch, and all clients see the same', async () => {
      const group = await encryptedGroup();
      const streams = [node, other].map(({ url }) =>
        listen(
          connectInTest(url, bob.token),
          'subscription ($id: ID!) { messages(conversationId: $id) { type changeSeq messageId commit { epoch commit } } }',
          { id: group },
        ),
      );
      for (const stream of streams) await stream.until(({ type }) => type === 'CAUGHT_UP');
      const results = await Promise.all(
        Array.from({ length: 50 }, (_, index) => {
          const device = [anas, bobs, carols][index % 3] as TestDevice;
          const at = index % 2 ? device.owner : device.owner.at(other.url);
          return commit({ ...device, owner: at }, group, 1);
        }),
      );
      const stored = results.filter((result) => typeof result !== 'string');
      expect(stored).toHaveLength(1);
      expect(new Set(results.filter((result) => typeof result === 'string'))).toEqual(
        new Set(['CONFLICT STALE_EPOCH']),
      );
      for (const stream of streams) {
        const event = await stream.until(({ type }) => type === 'COMMITTED');
        expect(event).toMatchObject({ messageId: null, commit: { epoch: 1, commit: stored[0].commit.commit } });
      }
      expect(await groupOf(carol, group)).toMatchObject({ epoch: 2, commits: { nodes: { length: 2 } } });
    });

    itOnce('of all devices that repeat them with the next epoch are stored in one order', async () => {
      const group = await encryptedGroup();
      const streams = [node, other].map(({ url }) =>
        listen(
          connectInTest(url, carol.token),
          'subscription ($id: ID!) { messages(conversationId: $id) { type commit { epoch commit } } }',
          { id: group },
        ),
      );
      for (const stream of streams) await stream.until(({ type }) => type === 'CAUGHT_UP');
      /** Commits until it is stored, and returns the epoch from which it begins. */
      async function persist(device: TestDevice, content: string): Promise<number> {
        for (let epoch = 1; epoch < 100; ) {
          const { data, errors } = await device.owner.request(
            'mutation ($input: CommitGroupInput!) { commitGroup(input: $input) { commit { epoch } } }',
            { input: commitInput(device, group, epoch, { commit: content }) },
          );
          if (!errors) return data.commitGroup.commit.epoch;
          expect(errors[0]?.extensions).toMatchObject({ code: 'CONFLICT', reason: 'STALE_EPOCH', generation: 1 });
          epoch = errors[0]?.extensions.epoch;
        }
        throw new Error('no epoch is left');
      }
      const contents = Array.from({ length: 12 }, () => bytes());
      const epochs = await Promise.all(
        contents.map((content, index) => {
          const device = [anas, bobs, carols][index % 3] as TestDevice;
          return persist({ ...device, owner: index % 2 ? device.owner : device.owner.at(other.url) }, content);
        }),
      );
      expect([...epochs].sort((one, two) => one - two)).toEqual(contents.map((_, index) => index + 1));
      const inOrder = contents.map((_, index) => contents[epochs.indexOf(index + 1)]);
      for (const stream of streams) {
        await stream.until(({ commit: c }) => c?.epoch === contents.length);
        const seen = stream.events.filter(({ commit: c }) => c?.epoch > 0).map(({ commit: c }) => c.commit);
        expect(seen).toEqual(inOrder);
      }
    });

    it('reach resumed streams one by one, before the messages of their epochs', async () => {
      const group = await encryptedGroup();
      const { viewer } = await bob.ask('{ viewer { syncCursor } }');
      await sendSealed(anas, group, 1);
      await commit(bobs, group, 1);
      await commit(anas, group, 2);
      await sendSealed(carols, group, 3);
      const stream = listen(
        connectInTest(other.url, bob.token),
        `subscription ($id: ID!, $after: String) { messages(conversationId: $id, after: $after) {
          type message { encrypted { epoch } } commit { epoch } } }`,
        { id: group, after: viewer.syncCursor },
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      // Earlier events may be repeated.
      const missed = stream.events.slice(-5);
      expect(missed.map(({ type, commit: c, message }) => [type, c?.epoch ?? message?.encrypted.epoch])).toEqual([
        ['SENT', 1],
        ['COMMITTED', 1],
        ['COMMITTED', 2],
        ['SENT', 3],
        ['CAUGHT_UP', undefined],
      ]);
    });

    it('must remove who has to leave, and no message is sent before', async () => {
      const group = await encryptedGroup();
      await must(ana, 'removeMember', { conversationId: group, userId: carol.id });
      expect(ids((await groupOf(bob, group)).devicesToRemove)).toEqual([carols.id]);
      expect(ids((await groupOf(bob, group)).devices)).toContain(carols.id);
      expect(await sendSealed(bobs, group, 1)).toBe('CONFLICT REKEY');
      expect(await commit(bobs, group, 1)).toBe('CONFLICT REKEY');
      expect(await commit(carols, group, 1)).toBe('NOT_FOUND input.conversationId');
      expect(await sendSealed(carols, group, 1)).toBe('NOT_FOUND input.conversationId');
      await commit(bobs, group, 1, { removedDeviceIds: [carols.id] });
      expect((await groupOf(bob, group)).devicesToRemove).toEqual([]);
      expect(ids((await groupOf(bob, group)).devices)).not.toContain(carols.id);
      expect(await sendSealed(bobs, group, 2)).toMatchObject({ text: null });
      expect(await groupOf(carol, group)).toBeUndefined();
      // Removing a device has the same effect, and a member who returns must be added again.
      const second = await registerDevice(bob);
      expect(await commit(second, group, 2)).toMatchObject({ commit: { epoch: 2 } });
      await must(bob, 'removeDevice', { deviceId: second.id });
      expect(await sendSealed(anas, group, 3)).toBe('CONFLICT REKEY');
      await commit(anas, group, 3, { removedDeviceIds: [second.id] });
      await must(ana, 'addMembers', { conversationId: group, userIds: [carol.id] });
      expect(ids((await groupOf(ana, group)).devicesToAdd)).toEqual([carols.id]);
      expect(await sendSealed(carols, group, 4)).toBe('FORBIDDEN DEVICE_NOT_IN_GROUP input.encrypted.deviceId');
    });

    it('are not possible after a user of a direct conversation has blocked the other', async () => {
      const people = await registerAll(node.url, 'blocking', 'blocked');
      const [one, two] = people as [Person, Person];
      const [ones, twos] = [await registerDevice(one), await registerDevice(two)];
      const direct = await openDirect(one, two);
      await enable(one, direct);
      await startGroup(direct, [ones, twos]);
      const input = commitInput(twos, direct, 1);
      const stored = await call(two, 'commitGroup', input, COMMIT);
      await must(one, 'blockUser', { userId: two.id });
      expect(await call(two, 'commitGroup', input, COMMIT)).toEqual(stored);
      for (const device of [ones, twos]) {
        expect(await commit(device, direct, 2)).toBe('FORBIDDEN RECIPIENT_UNREACHABLE input.conversationId');
      }
      await must(one, 'unblockUser', { userId: two.id });
      expect(await commit(twos, direct, 2)).toMatchObject({ commit: { epoch: 2 } });
    });

    it('leave keys that members seal for themselves, and replace', async () => {
      const group = await encryptedGroup();
      const seal = (person: Person, ...sealedKeys: Json[]) =>
        call(person, 'setSealedKeys', { conversationId: group, sealedKeys });
      const key = (epoch: number, sealed = bytes()) => ({ generation: 1, epoch, sealed });
      await commit(anas, group, 1, { sealedKeys: [{ userId: bob.id, epoch: 2, sealed: bytes() }] });
      const [first, second] = [key(1), key(2)];
      expect(await seal(bob, first, second)).toEqual({ __typename: 'SetSealedKeysPayload' });
      expect((await groupOf(bob, group)).sealedKeys.nodes).toEqual([second, first]);
      expect((await groupOf(ana, group)).sealedKeys.nodes).toEqual([]);
      expect(await seal(bob, first, key(3))).toBe('BAD_USER_INPUT input.sealedKeys.1.epoch');
      expect(await seal(bob, { ...first, generation: 2 })).toBe('BAD_USER_INPUT input.sealedKeys.0.epoch');
      expect(await seal(bob, first, first)).toBe('BAD_USER_INPUT input.sealedKeys.1');
      expect(await seal(eve, first)).toBe('NOT_FOUND input.conversationId');
      // A commit of another member does not replace what the member has sealed.
      await commit(anas, group, 2, { sealedKeys: [{ userId: bob.id, epoch: 2, sealed: bytes() }] });
      expect((await groupOf(bob, group)).sealedKeys.nodes).toEqual([second, first]);
    });

    it('of the next generation start the group again', async () => {
      const group = await encryptedGroup();
      await must(ana, 'removeMember', { conversationId: group, userId: carol.id });
      const reset = { generation: 2, addedDeviceIds: [anas.id] };
      expect(await commit(bobs, group, 1, { generation: 2 })).toBe('CONFLICT STALE_EPOCH');
      expect(await commit(bobs, group, 0, { ...reset, generation: 3 })).toBe('CONFLICT STALE_EPOCH');
      expect(await commit(bobs, group, 0, reset)).toMatchObject({ commit: { generation: 2, epoch: 0 } });
      expect(await groupOf(bob, group)).toMatchObject({ generation: 2, epoch: 1, devicesToRemove: [] });
      expect(await sendSealed(anas, group, 1)).toBe('CONFLICT STALE_EPOCH');
      expect(await sendSealed(anas, group, 1, { encrypted: { generation: 2 } })).toMatchObject({
        encrypted: { generation: 2, epoch: 1 },
      });
    });

    itOnce('reject what does not belong to the group', async () => {
      const group = await encryptedGroup();
      const evil = await registerDevice(eve);
      const refused = async (more: Json, device = anas) => commit(device, group, 1, more);
      expect(await refused({ addedDeviceIds: [evil.id] })).toBe('NOT_FOUND input.addedDeviceIds.0');
      expect(await refused({ addedDeviceIds: [bobs.id] })).toBe('BAD_USER_INPUT input.addedDeviceIds.0');
      expect(await refused({ addedDeviceIds: [bobs.id, bobs.id] })).toBe('BAD_USER_INPUT input.addedDeviceIds.1');
      expect(await refused({ removedDeviceIds: [evil.id] })).toBe('NOT_FOUND input.removedDeviceIds.0');
      expect(await refused({ removedDeviceIds: [anas.id] })).toBe('BAD_USER_INPUT input.removedDeviceIds.0');
      expect(await refused({ welcomes: [{ deviceId: bobs.id, welcome: bytes() }] })).toBe(
        'BAD_USER_INPUT input.welcomes.0.deviceId',
      );
      const sealed = (key: Json) => refused({ sealedKeys: [{ userId: bob.id, epoch: 2, sealed: bytes(), ...key }] });
      expect(await sealed({ userId: eve.id })).toBe('NOT_FOUND input.sealedKeys.0.userId');
      expect(await sealed({ epoch: 3 })).toBe('BAD_USER_INPUT input.sealedKeys.0.epoch');
      expect(await refused({ commit: '' })).toBe('BAD_USER_INPUT input.commit');
      expect(await refused({ generation: 0 })).toBe('BAD_USER_INPUT input.generation');
      expect(await refused({}, { ...bobs, owner: ana })).toBe('NOT_FOUND input.deviceId');
      expect(await refused({}, evil)).toBe('NOT_FOUND input.conversationId');
      const plain = await createGroup(ana, [bob]);
      expect(await commit(anas, plain, 0)).toBe('CONFLICT NOT_ENCRYPTED input.conversationId');
    });
  });

  describe('messages', () => {
    it('are sent once, read by all members, edited and deleted', async () => {
      const group = await encryptedGroup();
      const content = bytes(320);
      const key = `key-${group}`;
      const message = await sendSealed(anas, group, 1, { content, clientMessageId: key });
      expect(message).toMatchObject({
        text: null,
        encrypted: { generation: 1, epoch: 1, content, device: { id: anas.id } },
      });
      await commit(bobs, group, 1);
      // The repetition is answered although the group has moved on; other content with the same key is a conflict.
      expect(await sendSealed(anas, group, 1, { content, clientMessageId: key })).toEqual(message);
      expect(await sendSealed(anas, group, 2, { clientMessageId: key })).toBe('CONFLICT input.clientMessageId');
      expect(await sendSealed(anas, group, 1)).toBe('CONFLICT STALE_EPOCH');
      const READ = `query ($id: ID!) { node(id: $id) { ... on Message { ${ENCRYPTED} } } }`;
      const { mentions: _mentions, ...stored } = message;
      expect((await bob.ask(READ, { id: message.id })).node).toEqual(stored);
      expect((await eve.ask(READ, { id: message.id })).node).toBeNull();
      const changed = {
        messageId: message.id,
        encrypted: { generation: 1, epoch: 2, deviceId: anas.id, content: bytes() },
      };
      const edit = () => call(ana, 'editMessage', changed, `message { ${ENCRYPTED} }`);
      const edited = await edit();
      expect(edited.message.encrypted).toMatchObject({ epoch: 2, content: changed.encrypted.content });
      await commit(bobs, group, 2);
      expect(await edit()).toEqual(edited);
      expect(await call(bob, 'editMessage', changed)).toBe('FORBIDDEN');
      const stale = { ...changed, encrypted: { ...changed.encrypted, content: bytes() } };
      expect(await call(ana, 'editMessage', stale)).toBe('CONFLICT STALE_EPOCH');
      await must(ana, 'deleteMessage', { messageId: message.id });
      expect((await bob.ask(READ, { id: message.id })).node).toMatchObject({ text: null, encrypted: null });
      const rows = await node.deps.database.db.$queryRaw<unknown[]>`
        SELECT FROM messages WHERE id = ${rowOf(message.id)}::uuid AND encrypted IS NOT NULL`;
      expect(rows).toEqual([]);
    });

    it('mention the declared users', async () => {
      const group = await encryptedGroup();
      const message = await sendSealed(anas, group, 1, {
        encrypted: { mentionedIds: [carol.id, eve.id, bob.id], mentionsEveryone: false },
      });
      expect(ids(message.mentions)).toEqual([carol.id, bob.id]);
      const unread = await carol.ask(
        'query ($id: ID!) { conversation(id: $id) { viewerMembership { unreadMentionCount } } }',
        { id: group },
      );
      expect(unread.conversation.viewerMembership.unreadMentionCount).toBe(1);
    });

    itOnce('are rejected without encryption, with a text as well, and if they are too long', async () => {
      const group = await encryptedGroup();
      expect(await sendSealed(anas, group, 1, { text: 'as well' })).toBe('BAD_USER_INPUT input.text');
      expect(await sendSealed(anas, group, 1, { content: '' })).toBe('BAD_USER_INPUT input.encrypted.content');
      expect(await sendSealed(anas, group, 1, { content: bytes(65_537) })).toBe(
        'BAD_USER_INPUT input.encrypted.content',
      );
      expect(await sendSealed({ ...bobs, owner: ana }, group, 1)).toBe(
        'FORBIDDEN DEVICE_NOT_IN_GROUP input.encrypted.deviceId',
      );
      const plain = await createGroup(ana, [bob]);
      expect(await sendSealed(anas, plain, 1)).toBe('CONFLICT NOT_ENCRYPTED input.encrypted');
      const { id: messageId } = await send(ana, plain, 'plain');
      const encrypted = { generation: 1, epoch: 1, deviceId: anas.id, content: bytes() };
      expect(await call(ana, 'editMessage', { messageId, encrypted })).toBe('CONFLICT NOT_ENCRYPTED input.encrypted');
    });
  });

  describe('reactions', () => {
    /** An emoji as devices encrypt it. */
    const sealed = () => bytes(63);
    const REACTIONS = 'id viewerReactions reactions { emoji count isEncrypted users(first: 10) { nodes { id } } }';
    const of = async (person: Person, id: string) =>
      (await person.ask(`query ($id: ID!) { node(id: $id) { ... on Message { ${REACTIONS} } } }`, { id })).node;
    const react = (person: Person, messageId: string, emoji: string) =>
      call(person, 'addReaction', { messageId, emoji }, `message { ${REACTIONS} }`);
    const unreact = (person: Person, messageId: string, emoji: string) =>
      call(person, 'removeReaction', { messageId, emoji }, `message { ${REACTIONS} }`);

    it('with the same encrypted emoji are one group, and are added and removed once, also after an edit', async () => {
      const group = await encryptedGroup();
      const { id } = await sendSealed(anas, group, 1);
      const [thumb, party] = [sealed(), sealed()];
      const stream = listen(
        connectInTest(other.url, carol.token),
        `subscription ($id: ID!) { messages(conversationId: $id) {
          type message { id viewerReactions reactions { emoji count isEncrypted } } } }`,
        { id: group },
      );
      await stream.until(({ type }) => type === 'CAUGHT_UP');
      await Promise.all([bob, bob.at(other.url), bob].map((person) => react(person, id, thumb)));
      await react(carol, id, thumb);
      await react(carol, id, party);
      expect(await of(bob, id)).toEqual({
        id,
        viewerReactions: [thumb],
        reactions: [
          { emoji: thumb, count: 2, isEncrypted: true, users: { nodes: [{ id: bob.id }, { id: carol.id }] } },
          { emoji: party, count: 1, isEncrypted: true, users: { nodes: [{ id: carol.id }] } },
        ],
      });
      const event = await stream.until(({ message }) => message?.reactions.length === 2);
      expect(event).toMatchObject({
        type: 'REACTED',
        message: {
          viewerReactions: [thumb, party],
          reactions: [{ emoji: thumb, isEncrypted: true }, { emoji: party }],
        },
      });
      await commit(bobs, group, 1);
      const encrypted = { generation: 1, epoch: 2, deviceId: anas.id, content: bytes() };
      await must(ana, 'editMessage', { messageId: id, encrypted });
      await Promise.all([unreact(bob, id, thumb), unreact(bob.at(other.url), id, thumb)]);
      await unreact(carol, id, party);
      expect((await of(carol, id)).reactions).toMatchObject([{ emoji: thumb, count: 1 }]);
      await must(ana, 'deleteMessage', { messageId: id });
      expect((await of(carol, id)).reactions).toEqual([]);
    });

    it('are encrypted if and only if the content of the message is; others can only be removed', async () => {
      const group = await createGroup(ana, [bob]);
      const { id: plain } = await send(ana, group, 'plain');
      const { id: edited } = await send(ana, group, 'edited later');
      for (const id of [plain, edited]) await must(bob, 'addReaction', { messageId: id, emoji: '👍' });
      expect(await react(bob, plain, sealed())).toBe('BAD_USER_INPUT input.emoji');
      await enable(ana, group);
      await startGroup(group, [anas, bobs]);
      const { id } = await sendSealed(anas, group, 1);
      const emoji = sealed();
      await must(ana, 'editMessage', {
        messageId: edited,
        encrypted: { generation: 1, epoch: 1, deviceId: anas.id, content: bytes() },
      });
      for (const messageId of [id, edited]) {
        expect(await react(ana, messageId, '👍')).toBe('CONFLICT ENCRYPTED input.emoji');
        expect((await react(ana, messageId, emoji)).message.viewerReactions).toEqual([emoji]);
      }
      // A message from before the encryption remains in plain text.
      expect(await react(bob, plain, emoji)).toBe('BAD_USER_INPUT input.emoji');
      expect((await react(ana, plain, '👍')).message.reactions).toMatchObject([
        { emoji: '👍', count: 2, isEncrypted: false },
      ]);
      // The repetition of a stored one has no effect.
      expect((await react(bob, edited, '👍')).message.reactions).toMatchObject([
        { emoji: '👍', count: 1, isEncrypted: false },
        { emoji, count: 1, isEncrypted: true },
      ]);
      expect((await unreact(bob, edited, '👍')).message.reactions).toMatchObject([{ emoji, count: 1 }]);
      expect((await unreact(bob, id, '👍')).message.viewerReactions).toEqual([]);
      expect((await unreact(bob, plain, emoji)).message.viewerReactions).toEqual(['👍']);
    });

    itOnce('have one length, come from members, and are limited like others', async () => {
      const group = await encryptedGroup([bob], [bobs]);
      const { id } = await sendSealed(anas, group, 1);
      const emoji = sealed();
      for (const text of [bytes(62), bytes(64), `${emoji.slice(0, -1)}+`, `${emoji}\n`, `${emoji}=`, 'AAAA']) {
        expect(await react(bob, id, text), text).toBe('BAD_USER_INPUT input.emoji');
        expect(await unreact(bob, id, text), text).toBe('BAD_USER_INPUT input.emoji');
      }
      expect(await react(eve, id, emoji)).toBe('NOT_FOUND input.messageId');
      // The limits count encrypted emojis like others.
      for (let index = 0; index < 10; index++) await must(bob, 'addReaction', { messageId: id, emoji: sealed() });
      expect(await react(bob, id, emoji)).toBe('FORBIDDEN input.emoji');
      for (let index = 0; index < 10; index++) await must(ana, 'addReaction', { messageId: id, emoji: sealed() });
      expect(await react(ana, id, emoji)).toBe('FORBIDDEN input.emoji');
      await must(ana, 'deleteMessage', { messageId: id });
      expect(await react(bob, id, emoji)).toBe('FORBIDDEN');
    });
  });
});
