import type { ClientConfig } from 'ts-mls/clientConfig.js';
import {
  type ClientState,
  createGroup,
  decodeGroupState,
  encodeGroupState,
  type GroupState,
  joinGroup,
  makePskIndex,
} from 'ts-mls/clientState.js';
import { encode } from 'ts-mls/codec/tlsEncoder.js';
import { createCommit, createGroupInfo, joinGroupExternal } from 'ts-mls/createCommit.js';
import type { CiphersuiteImpl } from 'ts-mls/crypto/ciphersuite.js';
import { makeGenericHpke } from 'ts-mls/crypto/implementation/hpke.js';
import type { FramedContentCommit } from 'ts-mls/framedContent.js';
import { type GroupInfo, ratchetTreeFromExtension } from 'ts-mls/groupInfo.js';
import {
  generateKeyPackageWithKey,
  type KeyPackage,
  type PrivateKeyPackage,
  verifyKeyPackage,
} from 'ts-mls/keyPackage.js';
import { defaultKeyPackageEqualityConfig } from 'ts-mls/keyPackageEqualityConfig.js';
import { mlsExporter } from 'ts-mls/keySchedule.js';
import { type LeafNode, verifyLeafNodeSignatureKeyPackage } from 'ts-mls/leafNode.js';
import { decodeMlsMessage, encodeMlsMessage, type MLSMessage, type MlsMessageContent } from 'ts-mls/message.js';
import { defaultPaddingConfig } from 'ts-mls/paddingConfig.js';
import { processPublicMessage } from 'ts-mls/processMessages.js';
import type { Proposal } from 'ts-mls/proposal.js';
import type { PublicMessage } from 'ts-mls/publicMessage.js';
import { type RatchetTree, ratchetTreeEncoder } from 'ts-mls/ratchetTree.js';
import { type Bytes, copyOf, equal, randomBytes } from './bytes.js';
import { aesOpen, aesSeal, ed25519Pair, ed25519Sign, ed25519Verify, subtle } from './crypto.js';
import { E2eeError } from './errors.js';
import { hpkeSuite } from './hpke.js';

// The port to MLS (RFC 9420). Nothing else imports ts-mls, so that another implementation can replace it. Messages are in the
// encoding of the RFC; the state of a group is bytes, which are stored as they are.

/** The keys with which a device takes part in groups. */
export interface MlsDevice {
  /** What its leaf says who it is. */
  identity: Uint8Array;
  signatureKey: Uint8Array;
  /** The Ed25519 seed of the signature key. */
  signaturePrivateKey: Uint8Array;
}

/** A member of a group. */
interface MlsMember {
  leafIndex: number;
  identity: Bytes;
  signatureKey: Bytes;
}

/** What a group is at one epoch. */
export interface MlsView {
  groupId: Bytes;
  epoch: number;
  /** The hash of all commits until now. It is the same for all members unless the group has forked. */
  transcriptHash: Bytes;
  members: MlsMember[];
  /**
   * Whether devices can be added. The joins of ts-mls 1.6.4 refuse trees with unmerged leaves (RFC 9420, 7.9.2), of which it compares
   * too much. They arise when a device is added below a key that several members share; a device that joins by itself makes none.
   */
  canAdd: boolean;
}

/** The state of a group after a commit of this device. */
export interface MlsCommit {
  state: Bytes;
  commit: Bytes;
  /** From which devices can join by themselves. */
  groupInfo: Bytes;
  /** For each added device, in the order of `add`. */
  welcomes: Bytes[];
}

/** A key package, with the private part that its device keeps. */
export interface MlsKeyPackage {
  keyPackage: Bytes;
  privateKeys: Bytes;
}

/** Decides whether a leaf belongs to a device of an account. It is asked about every leaf of every group. */
export type Authenticate = (identity: Uint8Array, signatureKey: Uint8Array) => Promise<boolean>;

const NAME = 'MLS_128_DHKEMX25519_AES128GCM_SHA256_Ed25519';

/**
 * RFC 9420, 12.4.3.2 has the length before `external_pub`; ts-mls 1.6.4 reads the extension without it. Groups contain it, so
 * that other implementations can join them.
 */
const withoutLength = (key: Uint8Array) => (key.length === 33 && key[0] === 32 ? key.subarray(1) : key);

async function importMacKey(key: Uint8Array): Promise<CryptoKey> {
  return subtle().importKey('raw', copyOf(key), { name: 'HMAC', hash: 'SHA-256' }, false, ['sign', 'verify']);
}

/** The cipher suite 1 of the RFC. The providers of ts-mls would import packages for all suites. */
async function createSuite(): Promise<CiphersuiteImpl> {
  const { kdf } = hpkeSuite;
  const aead = {
    encrypt: (key: Uint8Array, nonce: Uint8Array, data: Uint8Array, plain: Uint8Array) =>
      aesSeal(key, nonce, plain, data),
    decrypt: (key: Uint8Array, nonce: Uint8Array, data: Uint8Array, sealed: Uint8Array) =>
      aesOpen(key, nonce, sealed, data),
  };
  const algorithms = { kem: 'DHKEM-X25519-HKDF-SHA256', kdf: 'HKDF-SHA256', aead: 'AES128GCM' } as const;
  const hpke = await makeGenericHpke(algorithms, aead, hpkeSuite);
  return {
    name: NAME,
    rng: { randomBytes },
    hash: {
      digest: async (data) => new Uint8Array(await subtle().digest('SHA-256', copyOf(data))),
      mac: async (key, data) => new Uint8Array(await subtle().sign('HMAC', await importMacKey(key), copyOf(data))),
      verifyMac: async (key, mac, data) => subtle().verify('HMAC', await importMacKey(key), copyOf(mac), copyOf(data)),
    },
    kdf: {
      size: 32,
      extract: async (salt, secret) => new Uint8Array(await kdf.extract(copyOf(salt).buffer, copyOf(secret).buffer)),
      expand: async (secret, info, length) =>
        new Uint8Array(await kdf.expand(copyOf(secret).buffer, copyOf(info).buffer, length)),
    },
    signature: {
      sign: ed25519Sign,
      verify: ed25519Verify,
      async keygen() {
        const { publicKey, privateKey } = await ed25519Pair();
        return { publicKey, signKey: privateKey };
      },
    },
    hpke: { ...hpke, importPublicKey: (key) => hpke.importPublicKey(withoutLength(key)) },
  };
}

const encodeMessage = (content: MlsMessageContent): Bytes =>
  copyOf(encodeMlsMessage({ ...content, version: 'mls10' } as MLSMessage));

/** @throws E2eeError `INVALID_COMMIT` if the bytes are not a message of this kind. */
function decodeMessage<Kind extends MLSMessage['wireformat']>(
  bytes: Uint8Array,
  wireformat: Kind,
): Extract<MLSMessage, { wireformat: Kind }> {
  let decoded: MLSMessage | undefined;
  try {
    decoded = decodeMlsMessage(bytes, 0)?.[0];
  } catch {
    // The decoders throw for some malformed messages.
  }
  if (decoded?.wireformat !== wireformat) throw invalid(`The bytes are no ${wireformat}.`);
  return decoded as Extract<MLSMessage, { wireformat: Kind }>;
}

const invalid = (message: string, cause?: unknown) => new E2eeError('INVALID_COMMIT', message, { cause });

const capabilities = {
  versions: ['mls10' as const],
  ciphersuites: [NAME as typeof NAME],
  extensions: [],
  proposals: [],
  credentials: ['basic' as const],
};

export type Mls = Awaited<ReturnType<typeof createMls>>;

/** The operations of MLS. They change nothing that is passed to them. */
export async function createMls(authenticate: Authenticate) {
  const suite = await createSuite();
  /** Failures of `authenticate` that say nothing about the leaf, such as those of the storage. */
  const passedOn = new WeakSet<object>();
  const config: ClientConfig = {
    // Content is not encrypted with these keys.
    keyRetentionConfig: { retainKeysForEpochs: 0, retainKeysForGenerations: 0, maximumForwardRatchetSteps: 0 },
    lifetimeConfig: { maximumTotalLifetime: 10_000_000n, validateLifetimeOnReceive: false },
    keyPackageEqualityConfig: defaultKeyPackageEqualityConfig,
    paddingConfig: defaultPaddingConfig,
    authService: {
      validateCredential: async (credential, signatureKey) =>
        'identity' in credential && (await isAuthentic(credential.identity, signatureKey)),
    },
  };

  async function isAuthentic(identity: Uint8Array, signatureKey: Uint8Array): Promise<boolean> {
    try {
      return await authenticate(identity, signatureKey);
    } catch (error) {
      if (error instanceof E2eeError) return false;
      passedOn.add(error as object);
      throw error;
    }
  }

  const failed = (message: string, cause: unknown) =>
    cause instanceof E2eeError || passedOn.has(cause as object) ? cause : invalid(message, cause);

  const write = (state: ClientState): Bytes =>
    copyOf(encodeGroupState({ ...state, historicalReceiverData: new Map() }));

  function read(bytes: Uint8Array): ClientState {
    const state = decodeGroupState(bytes, 0)?.[0] as GroupState | undefined;
    if (!state) throw invalid('The stored state of a group cannot be read.');
    return { ...state, clientConfig: config };
  }

  async function generate(device: MlsDevice, lifetime: { notBefore: bigint; notAfter: bigint }) {
    const credential = { credentialType: 'basic' as const, identity: device.identity };
    const keys = { signKey: device.signaturePrivateKey, publicKey: device.signatureKey };
    return generateKeyPackageWithKey(credential, capabilities, lifetime, [], keys, suite);
  }

  /** A leaf for immediate use. */
  const generateNow = (device: MlsDevice) => {
    const now = BigInt(Math.floor(Date.now() / 1_000));
    return generate(device, { notBefore: now - 86_400n, notAfter: now + 86_400n });
  };

  async function groupInfoOf(state: ClientState): Promise<Bytes> {
    const { publicKey } = await suite.hpke.deriveKeyPair(state.keySchedule.externalSecret);
    const key = await suite.hpke.exportPublicKey(publicKey);
    const extensions = [
      { extensionType: 'external_pub' as const, extensionData: new Uint8Array([key.length, ...key]) },
      { extensionType: 'ratchet_tree' as const, extensionData: encode(ratchetTreeEncoder)(state.ratchetTree) },
    ];
    const groupInfo = await createGroupInfo(state.groupContext, state.confirmationTag, state, extensions, suite);
    return encodeMessage({ wireformat: 'mls_group_info', groupInfo });
  }

  /**
   * Checks what ts-mls does not: which proposals a commit has, and that it changes nothing of others. A new member may remove
   * only its own former leaf.
   */
  async function check(state: ClientState, { content }: PublicMessage): Promise<void> {
    if (content.contentType !== 'commit') throw invalid('The message is no commit.');
    const { proposals, path } = (content as FramedContentCommit).commit;
    const list = proposals.map((each) => {
      if (each.proposalOrRefType !== 'proposal') throw invalid('The commit refers to a proposal.');
      return each.proposal;
    });
    const { sender } = content;
    const isMember = sender.senderType === 'member';
    if (!isMember && sender.senderType !== 'new_member_commit') throw invalid('The committer is not a member.');
    const leaf = isMember ? leafAt(state.ratchetTree, sender.leafIndex) : path?.leafNode;
    if (!leaf) throw invalid('The commit has no committer.');
    if (path && !equal(path.leafNode.signaturePublicKey, leaf.signaturePublicKey)) {
      throw invalid('The commit changes the signature key of its committer.');
    }
    const allowed = isMember ? ['add', 'remove'] : ['external_init', 'remove'];
    if (list.some(({ proposalType }) => !allowed.includes(String(proposalType)))) {
      throw invalid('The commit contains a proposal that is not allowed.');
    }
    for (const proposal of list) if ('add' in proposal) await checkAdded(state, proposal.add.keyPackage);
    if (isMember) return;
    if (!list.some(({ proposalType }) => proposalType === 'external_init')) throw invalid('There is no external_init.');
    for (const proposal of list) {
      if (!('remove' in proposal)) continue;
      const removed = leafAt(state.ratchetTree, proposal.remove.removed);
      if (!removed || !equal(removed.signaturePublicKey, leaf.signaturePublicKey)) {
        throw invalid('A device that joins removes another one.');
      }
    }
  }

  /**
   * Checks an added device before ts-mls does, which would leave promises unhandled if several of them are not valid.
   * @throws E2eeError `INVALID_COMMIT`.
   */
  async function checkAdded(state: ClientState, keyPackage: KeyPackage): Promise<void> {
    const { leafNode } = keyPackage;
    const { credential, signaturePublicKey, hpkePublicKey } = leafNode;
    const isUsed = leavesOf(state.ratchetTree).some(
      ({ leaf }) => equal(leaf.signaturePublicKey, signaturePublicKey) || equal(leaf.hpkePublicKey, hpkePublicKey),
    );
    const isValid =
      !isUsed &&
      keyPackage.cipherSuite === suite.name &&
      leafNode.leafNodeSource === 'key_package' &&
      (await verifyKeyPackage(keyPackage, suite.signature)) &&
      (await verifyLeafNodeSignatureKeyPackage(leafNode, suite.signature)) &&
      'identity' in credential &&
      (await isAuthentic(credential.identity, signaturePublicKey));
    if (!isValid) throw invalid('The key package of an added device is not valid.');
  }

  return {
    /** Whether the device of a key package can be added to a group. */
    async canAddKeyPackage(bytes: Uint8Array, keyPackage: Uint8Array): Promise<boolean> {
      try {
        await checkAdded(read(bytes), decodeMessage(keyPackage, 'mls_key_package').keyPackage);
        return true;
      } catch (error) {
        if (error instanceof E2eeError) return false;
        throw error;
      }
    },

    /** A key package, with which others can add the device. The times are in milliseconds since 1970. */
    async createKeyPackage(device: MlsDevice, notBefore: number, notAfter: number): Promise<MlsKeyPackage> {
      const seconds = (time: number) => BigInt(Math.floor(time / 1_000));
      const pair = await generate(device, { notBefore: seconds(notBefore), notAfter: seconds(notAfter) });
      const { initPrivateKey, hpkePrivateKey } = pair.privatePackage;
      return {
        keyPackage: encodeMessage({ wireformat: 'mls_key_package', keyPackage: pair.publicPackage }),
        privateKeys: new Uint8Array([...initPrivateKey, ...hpkePrivateKey]),
      };
    },

    /** What a key package says. Whether its signature is valid is checked when its device is added. */
    readKeyPackage(bytes: Uint8Array): {
      identity: Uint8Array;
      signatureKey: Uint8Array;
      /** From when and until when it is valid, in milliseconds since 1970. */
      notBefore: number;
      notAfter: number;
    } {
      const { leafNode } = decodeMessage(bytes, 'mls_key_package').keyPackage as KeyPackage;
      if (!('identity' in leafNode.credential)) throw invalid('The key package has another kind of credential.');
      return {
        identity: leafNode.credential.identity,
        signatureKey: leafNode.signaturePublicKey,
        notBefore: 'lifetime' in leafNode ? Number(leafNode.lifetime.notBefore) * 1_000 : 0,
        notAfter: 'lifetime' in leafNode ? Number(leafNode.lifetime.notAfter) * 1_000 : 0,
      };
    },

    /** A group whose only member is the device, at epoch 0. */
    async createGroup(groupId: Uint8Array, device: MlsDevice): Promise<Bytes> {
      const { publicPackage, privatePackage } = await generateNow(device);
      return write(await createGroup(groupId, publicPackage, privatePackage, [], suite, config));
    },

    /**
     * A commit that removes devices, adds devices, and renews the keys of this one.
     * @param changes the signature keys of those who are removed, and the key packages of those who are added.
     * @param note what else the device states, signed and not encrypted.
     */
    async commit(
      bytes: Uint8Array,
      changes: { remove?: readonly Uint8Array[]; add?: readonly Uint8Array[] } = {},
      note: Uint8Array = new Uint8Array(),
    ): Promise<MlsCommit> {
      const state = read(bytes);
      const { remove = [], add = [] } = changes;
      const added = add.map((each) => decodeMessage(each, 'mls_key_package').keyPackage);
      for (const each of added) await checkAdded(state, each);
      const removals = leavesOf(state.ratchetTree)
        .filter(({ leaf }) => remove.some((key) => equal(key, leaf.signaturePublicKey)))
        .map(({ leafIndex }): Proposal => ({ proposalType: 'remove', remove: { removed: leafIndex } }));
      const additions = added.map((keyPackage): Proposal => ({ proposalType: 'add', add: { keyPackage } }));
      const made = await createCommit(
        { state, cipherSuite: suite, pskIndex: makePskIndex(state, {}) },
        {
          wireAsPublicMessage: true,
          extraProposals: [...removals, ...additions],
          ratchetTreeExtension: true,
          authenticatedData: note,
        },
      ).catch((cause) => {
        throw failed('The commit is not possible.', cause);
      });
      const { welcome } = made;
      const welcomes = (welcome?.secrets ?? []).map((secret) =>
        // Each device gets its own secret only.
        encodeMessage({
          wireformat: 'mls_welcome',
          welcome: { ...(welcome as NonNullable<typeof welcome>), secrets: [secret] },
        }),
      );
      return {
        state: write(made.newState),
        commit: copyOf(encodeMlsMessage(made.commit)),
        groupInfo: await groupInfoOf(made.newState),
        welcomes,
      };
    },

    /** Joins by a commit of this device itself. A former leaf of the device is replaced. */
    async joinExternally(
      groupInfo: Uint8Array,
      device: MlsDevice,
      note: Uint8Array = new Uint8Array(),
    ): Promise<MlsCommit> {
      const decoded = decodeMessage(groupInfo, 'mls_group_info').groupInfo as GroupInfo;
      const { publicPackage, privatePackage } = await generateNow(device);
      const tree = treeOf(decoded);
      const isBack = leavesOf(tree).some(({ leaf }) => equal(leaf.signaturePublicKey, device.signatureKey));
      try {
        const joined = await joinGroupExternal(
          decoded,
          publicPackage,
          privatePackage,
          isBack,
          suite,
          undefined,
          config,
          note,
        );
        return {
          state: write(joined.newState),
          commit: encodeMessage({ wireformat: 'mls_public_message', publicMessage: joined.publicMessage }),
          groupInfo: await groupInfoOf(joined.newState),
          welcomes: [],
        };
      } catch (cause) {
        throw failed('The device cannot join the group.', cause);
      }
    },

    /** Joins with a Welcome that was made for a key package of this device. */
    async joinByWelcome(welcome: Uint8Array, own: MlsKeyPackage, device: MlsDevice): Promise<Bytes> {
      const { keyPackage } = decodeMessage(own.keyPackage, 'mls_key_package');
      const privateKeys: PrivateKeyPackage = {
        initPrivateKey: own.privateKeys.slice(0, 32),
        hpkePrivateKey: own.privateKeys.slice(32),
        signaturePrivateKey: device.signaturePrivateKey,
      };
      const decoded = decodeMessage(welcome, 'mls_welcome').welcome;
      const search = { findPsk: () => undefined };
      try {
        return write(await joinGroup(decoded, keyPackage, privateKeys, search, suite, undefined, undefined, config));
      } catch (cause) {
        throw failed('The device cannot join with this Welcome.', cause);
      }
    },

    /**
     * Applies a commit of another device.
     * @returns the state of the next epoch; undefined if the commit has removed this device.
     * @throws E2eeError `INVALID_COMMIT`.
     */
    async process(bytes: Uint8Array, commit: Uint8Array): Promise<Bytes | undefined> {
      const state = read(bytes);
      const { publicMessage } = decodeMessage(commit, 'mls_public_message');
      if (!equal(publicMessage.content.groupId, state.groupContext.groupId)) throw invalid('It is of another group.');
      await check(state, publicMessage);
      try {
        const { newState } = await processPublicMessage(state, publicMessage, makePskIndex(state, {}), suite);
        return newState.groupActiveState.kind === 'active' ? write(newState) : undefined;
      } catch (cause) {
        throw failed('The commit is not valid for the group.', cause);
      }
    },

    /** The group and the epoch to which a commit belongs, and its note. They are verified when it is processed. */
    headerOf(commit: Uint8Array): { groupId: Bytes; epoch: number; note: Bytes } {
      const { groupId, epoch, authenticatedData } = decodeMessage(commit, 'mls_public_message').publicMessage.content;
      return { groupId: copyOf(groupId), epoch: Number(epoch), note: copyOf(authenticatedData) };
    },

    /** A secret of the current epoch that only the members have (RFC 9420, 8.5). */
    async exportSecret(bytes: Uint8Array, purpose: string, context: Uint8Array, length: number): Promise<Bytes> {
      const { exporterSecret } = read(bytes).keySchedule;
      return copyOf(await mlsExporter(exporterSecret, purpose, context, length, suite));
    },

    view(bytes: Uint8Array): MlsView {
      const { groupContext, ratchetTree } = read(bytes);
      return viewOf(groupContext, ratchetTree);
    },

    /** What GroupInfo says about a group. Its signature is checked when a device joins with it. */
    viewOfGroupInfo(groupInfo: Uint8Array): MlsView {
      const decoded = decodeMessage(groupInfo, 'mls_group_info').groupInfo as GroupInfo;
      return viewOf(decoded.groupContext, treeOf(decoded));
    },
  };
}

function viewOf(context: ClientState['groupContext'], tree: RatchetTree): MlsView {
  return {
    groupId: copyOf(context.groupId),
    epoch: Number(context.epoch),
    transcriptHash: copyOf(context.confirmedTranscriptHash),
    members: leavesOf(tree).map(({ leafIndex, leaf }) => ({
      leafIndex,
      identity: copyOf('identity' in leaf.credential ? leaf.credential.identity : new Uint8Array()),
      signatureKey: copyOf(leaf.signaturePublicKey),
    })),
    canAdd: tree.every((node) => node?.nodeType !== 'parent'),
  };
}

function leafAt(tree: RatchetTree, leafIndex: number): LeafNode | undefined {
  const node = tree[leafIndex * 2];
  return node?.nodeType === 'leaf' ? node.leaf : undefined;
}

function leavesOf(tree: RatchetTree): { leafIndex: number; leaf: LeafNode }[] {
  return tree.flatMap((node, index) => (node?.nodeType === 'leaf' ? [{ leafIndex: index / 2, leaf: node.leaf }] : []));
}

function treeOf(groupInfo: GroupInfo): RatchetTree {
  let tree: RatchetTree | undefined;
  try {
    tree = ratchetTreeFromExtension(groupInfo);
  } catch {
    // The decoders throw for some malformed trees.
  }
  if (!tree) throw invalid('GroupInfo has no tree.');
  return tree;
}
