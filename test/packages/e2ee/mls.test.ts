import {
  type ClientState,
  createCommit,
  decodeGroupState,
  decodeMlsMessage,
  defaultAuthenticationService,
  defaultCapabilities,
  defaultKeyPackageEqualityConfig,
  defaultKeyRetentionConfig,
  defaultLifetime,
  defaultLifetimeConfig,
  defaultPaddingConfig,
  encodeMlsMessage,
  type GroupState,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroupExternal,
  type MlsGroupInfo,
  type Proposal,
} from 'ts-mls';
import { expect, it } from 'vitest';
import { type Bytes, copyOf, equal, fromUtf8, utf8 } from '../../../packages/e2ee/src/bytes.js';
import { ed25519Pair } from '../../../packages/e2ee/src/crypto.js';
import { createMls, type Mls, type MlsDevice } from '../../../packages/e2ee/src/mls.js';

const refused = new Set<string>();
const mls: Mls = await createMls(async (identity) => !refused.has(fromUtf8(identity)));

async function device(name: string): Promise<MlsDevice> {
  const { publicKey, privateKey } = await ed25519Pair();
  return { identity: utf8(name), signatureKey: publicKey, signaturePrivateKey: privateKey };
}

const keyPackage = (own: MlsDevice) => mls.createKeyPackage(own, Date.now() - 60_000, Date.now() + 86_400_000);
const secret = (state: Bytes) => mls.exportSecret(state, 'parley content 1', new Uint8Array([1]), 32);
const names = (state: Bytes) => mls.view(state).members.map(({ identity }) => fromUtf8(identity));
const flip = (bytes: Uint8Array, index: number) => bytes.slice().with(index, (bytes[index] as number) ^ 1);

/** A group of Alice and Bob at epoch 1. */
async function pair() {
  const [alice, bob] = [await device('alice'), await device('bob')];
  const created = await mls.createGroup(utf8('group'), alice);
  const bobs = await keyPackage(bob);
  const added = await mls.commit(created, { add: [bobs.keyPackage] });
  const bobState = await mls.joinByWelcome(added.welcomes[0] as Bytes, bobs, bob);
  return { alice, bob, aliceState: added.state, bobState, groupInfo: added.groupInfo };
}

it('members who are added, who join and who process commits have the same secrets', async () => {
  const { aliceState, bobState, bob } = await pair();
  expect(await secret(aliceState)).toEqual(await secret(bobState));
  const carol = await device('carol');
  const update = await mls.commit(bobState);
  const alice2 = (await mls.process(aliceState, update.commit)) as Bytes;
  expect(mls.headerOf(update.commit)).toEqual({ groupId: utf8('group'), epoch: 1, note: new Uint8Array() });
  const joined = await mls.joinExternally(update.groupInfo, carol, utf8('note'));
  expect(mls.headerOf(joined.commit).note).toEqual(utf8('note'));
  const alice3 = (await mls.process(alice2, joined.commit)) as Bytes;
  const bob3 = (await mls.process(update.state, joined.commit)) as Bytes;
  expect(await secret(alice3)).toEqual(await secret(joined.state));
  expect(await secret(bob3)).toEqual(await secret(joined.state));
  expect(await secret(alice3)).not.toEqual(await secret(alice2));
  expect(mls.view(alice3)).toEqual(mls.view(joined.state));
  expect(mls.view(alice3)).toEqual(mls.viewOfGroupInfo(joined.groupInfo));
  expect(names(alice3)).toEqual(['alice', 'bob', 'carol']);
  // A removed device cannot follow.
  const removal = await mls.commit(alice3, { remove: [bob.signatureKey] });
  expect(await mls.process(bob3, removal.commit)).toBeUndefined();
  const carol4 = (await mls.process(joined.state, removal.commit)) as Bytes;
  expect(await secret(carol4)).toEqual(await secret(removal.state));
  expect(names(carol4)).toEqual(['alice', 'carol']);
});

it('several devices are added at once, each with a Welcome of its own', async () => {
  const alice = await device('alice');
  const others = await Promise.all(['bob', 'carol', 'dave'].map(device));
  const packages = await Promise.all(others.map(keyPackage));
  const created = await mls.createGroup(utf8('group'), alice);
  const made = await mls.commit(created, { add: packages.map((each) => each.keyPackage) });
  for (const [index, own] of others.entries()) {
    const state = await mls.joinByWelcome(made.welcomes[index] as Bytes, packages[index] as never, own);
    expect(await secret(state)).toEqual(await secret(made.state));
    const wrong = made.welcomes[(index + 1) % 3] as Bytes;
    await expect(mls.joinByWelcome(wrong, packages[index] as never, own)).rejects.toMatchObject({
      code: 'INVALID_COMMIT',
    });
  }
});

it('a device that has lost its state joins again in its former place', async () => {
  const { aliceState, bob, groupInfo } = await pair();
  const again = await mls.joinExternally(groupInfo, bob);
  const alice2 = (await mls.process(aliceState, again.commit)) as Bytes;
  expect(names(alice2)).toEqual(['alice', 'bob']);
  expect(await secret(alice2)).toEqual(await secret(again.state));
});

it('several invalid key packages in one commit are refused without unhandled rejections', async () => {
  const { aliceState, bobState } = await pair();
  const ghosts = await Promise.all(['ghost', 'ghost', 'ghost'].map(device));
  const packages = await Promise.all(ghosts.map(keyPackage));
  const { commit } = await mls.commit(bobState, { add: packages.map((each) => each.keyPackage) });
  refused.add('ghost');
  try {
    await expect(mls.process(aliceState, commit)).rejects.toMatchObject({ code: 'INVALID_COMMIT' });
  } finally {
    refused.clear();
  }
});

it('a failure of the storage does not mean that the commit is invalid', async () => {
  const failure = new Error('The disk is full.');
  const failing = await createMls(async () => {
    throw failure;
  });
  const { aliceState, bobState, groupInfo } = await pair();
  const { commit } = await mls.commit(bobState);
  await expect(failing.process(aliceState, commit)).rejects.toBe(failure);
  await expect(failing.joinExternally(groupInfo, await device('carol'))).rejects.toBe(failure);
});

it('says whether devices can be added so that all can join the group afterwards', async () => {
  const { aliceState, bobState, groupInfo } = await pair();
  expect(mls.view(aliceState).canAdd).toBe(true);
  const { state } = await mls.commit(bobState);
  expect(mls.view(state).canAdd).toBe(false);
  const joined = await mls.joinExternally(groupInfo, await device('carol'));
  expect(mls.view(joined.state).canAdd).toBe(false);
});

it('the state of a group is the same after it was stored, and an operation does not change it', async () => {
  const { aliceState } = await pair();
  const before = copyOf(aliceState);
  const [one, other] = [await mls.commit(aliceState), await mls.commit(aliceState)];
  expect(equal(aliceState, before)).toBe(true);
  expect(await secret(one.state)).not.toEqual(await secret(other.state));
  // Nothing of former epochs is kept.
  const third = await mls.commit((await mls.commit(one.state)).state);
  expect(third.state.length - one.state.length).toBeLessThan(50);
});

it('certificates decide about added devices, devices that join, and members of a group that is joined', async () => {
  const { aliceState, bob, bobState, groupInfo } = await pair();
  const ghost = await device('ghost');
  const ghosts = await keyPackage(ghost);
  const [added, joined] = [
    await mls.commit(bobState, { add: [ghosts.keyPackage] }),
    await mls.joinExternally(groupInfo, ghost),
  ];
  refused.add('ghost');
  try {
    for (const { commit } of [added, joined]) {
      await expect(mls.process(aliceState, commit)).rejects.toMatchObject({ code: 'INVALID_COMMIT' });
    }
    await expect(mls.commit(bobState, { add: [ghosts.keyPackage] })).rejects.toThrow();
    await expect(mls.joinExternally(added.groupInfo, bob)).rejects.toMatchObject({ code: 'INVALID_COMMIT' });
  } finally {
    refused.clear();
  }
});

it('a changed byte of a commit or of GroupInfo is detected', async () => {
  const { aliceState, bobState, groupInfo } = await pair();
  const carol = await device('carol');
  const { commit } = await mls.commit(bobState);
  for (let index = 0; index < commit.length; index++) {
    await expect(mls.process(aliceState, flip(commit, index)), `byte ${index}`).rejects.toThrow();
  }
  for (let index = 0; index < groupInfo.length; index += 3) {
    await expect(mls.joinExternally(flip(groupInfo, index), carol), `byte ${index}`).rejects.toThrow();
  }
});

it('a commit of another group or epoch, and what is no commit, is refused', async () => {
  const { aliceState, bobState } = await pair();
  const stale = await mls.commit(bobState);
  const alice2 = (await mls.process(aliceState, stale.commit)) as Bytes;
  await expect(mls.process(alice2, stale.commit)).rejects.toMatchObject({ code: 'INVALID_COMMIT' });
  const elsewhere = await mls.commit(await mls.createGroup(utf8('other'), await device('eve')));
  await expect(mls.process(aliceState, elsewhere.commit)).rejects.toMatchObject({ code: 'INVALID_COMMIT' });
  await expect(mls.process(aliceState, stale.groupInfo)).rejects.toMatchObject({ code: 'INVALID_COMMIT' });
  await expect(mls.process(aliceState, new Uint8Array([1, 2, 3]))).rejects.toMatchObject({ code: 'INVALID_COMMIT' });
});

it('key packages name their device and the time until which they are valid, and expired ones are not used', async () => {
  const alice = await device('alice');
  const until = Date.now() + 10_000_000;
  const { keyPackage: bytes } = await mls.createKeyPackage(alice, Date.now(), until);
  const read = mls.readKeyPackage(bytes);
  expect(fromUtf8(read.identity)).toBe('alice');
  expect(equal(read.signatureKey, alice.signatureKey)).toBe(true);
  expect(Math.abs(read.notAfter - until)).toBeLessThan(1_000);
  const created = await mls.createGroup(utf8('group'), await device('bob'));
  const old = await mls.createKeyPackage(alice, Date.now() - 2_000_000, Date.now() - 1_000_000);
  await expect(mls.commit(created, { add: [old.keyPackage] })).rejects.toThrow();
});

/** Joins as a device that does not follow the rules: in place of the leaf that `isReplaced` chooses. */
async function joinInPlaceOf(groupInfo: Bytes, own: MlsDevice, isReplaced: (signatureKey: Uint8Array) => boolean) {
  const suite = await getCiphersuiteImpl(getCiphersuiteFromName('MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519'));
  const importPublicKey = (key: Uint8Array) => suite.hpke.importPublicKey(key.length === 33 ? key.slice(1) : key);
  const message = decodeMlsMessage(groupInfo, 0)?.[0] as MlsGroupInfo;
  const credential = { credentialType: 'basic' as const, identity: own.identity };
  const keys = { signKey: own.signaturePrivateKey, publicKey: own.signatureKey };
  const made = await generateKeyPackageWithKey(credential, defaultCapabilities(), defaultLifetime, [], keys, suite);
  const joined = await joinGroupExternal(
    message.groupInfo,
    made.publicPackage,
    made.privatePackage,
    true,
    { ...suite, hpke: { ...suite.hpke, importPublicKey } },
    undefined,
    {
      keyRetentionConfig: defaultKeyRetentionConfig,
      lifetimeConfig: defaultLifetimeConfig,
      paddingConfig: defaultPaddingConfig,
      authService: defaultAuthenticationService,
      keyPackageEqualityConfig: {
        compareKeyPackages: () => false,
        compareKeyPackageToLeafNode: (_, leaf) => isReplaced(leaf.signaturePublicKey),
      },
    },
  );
  return encodeMlsMessage({ wireformat: 'mls_public_message', version: 'mls10', publicMessage: joined.publicMessage });
}

it('a device that joins can replace its own leaf, and not that of another device', async () => {
  const { aliceState, alice, bob, groupInfo } = await pair();
  const honest = await joinInPlaceOf(groupInfo, bob, (key) => equal(key, bob.signatureKey));
  expect(names((await mls.process(aliceState, honest)) as Bytes)).toEqual(['alice', 'bob']);
  const eve = await device('eve');
  for (const victim of [alice, bob]) {
    const attack = await joinInPlaceOf(groupInfo, eve, (key) => equal(key, victim.signatureKey));
    await expect(mls.process(aliceState, attack)).rejects.toThrow('removes another one');
  }
});

it.each<[string, Proposal]>([
  [
    'group_context_extensions',
    { proposalType: 'group_context_extensions', groupContextExtensions: { extensions: [] } },
  ],
  [
    'reinit',
    {
      proposalType: 'reinit',
      reinit: {
        groupId: utf8('group'),
        version: 'mls10',
        cipherSuite: 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519',
        extensions: [],
      },
    },
  ],
])('a commit with %s is refused, which is used nowhere', async (_, proposal) => {
  const { aliceState, bobState } = await pair();
  const suite = await getCiphersuiteImpl(getCiphersuiteFromName('MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519'));
  const state = {
    ...(decodeGroupState(bobState, 0)?.[0] as GroupState),
    clientConfig: {} as ClientState['clientConfig'],
  };
  state.clientConfig = {
    keyRetentionConfig: defaultKeyRetentionConfig,
    lifetimeConfig: defaultLifetimeConfig,
    paddingConfig: defaultPaddingConfig,
    authService: defaultAuthenticationService,
    keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
  };
  const options = { wireAsPublicMessage: true, extraProposals: [proposal] };
  const { commit } = await createCommit({ state, cipherSuite: suite }, options);
  await expect(mls.process(aliceState, encodeMlsMessage(commit))).rejects.toThrow('not allowed');
});
