import type { Parley } from '@parley/client';
import type { E2ee } from '@parley/e2ee';
import { EncryptionAccountDocument, RenameDeviceDocument } from '../generated/screens/graphql.ts';
import { serverInfoOf } from '../parley.ts';
import { deviceName } from '../routes/account/device.ts';
import { keysOf } from './keys.ts';
import { connectMessages } from './messages.ts';
import { type AddedMember, type EncryptionRecord, readRecord, recordKey, removeRecord, writeRecord } from './record.ts';
import type { Encryption, EncryptionDialog, EncryptionState, EncryptionStatus } from './types.ts';
import { createValue } from './value.ts';

/** The user who is signed in. */
interface Account {
  userId: string;
  e2ee: Promise<E2ee> | undefined;
  isClosed: boolean;
}

/** How many added users are remembered. */
const ADDED_MAX = 200;

const isSupported = () => isSecureContext && globalThis.crypto?.subtle !== undefined && 'indexedDB' in globalThis;

/** The code of an error of the server or of the encryption. */
const codeOf = (error: unknown) => (error as { code?: string } | undefined)?.code;

const withAdded = (ids: readonly string[], id: string): string[] => [...new Set([...ids, id])];

/**
 * Follows the session: opens the keys of the user who signs in, registers this browser as one of their devices, and lets messages be
 * encrypted and opened with its keys.
 */
export function createEncryption(parley: Parley): Encryption {
  const state = createValue<EncryptionState>({ status: 'loading', isKeyPending: false });
  const changes = createValue<readonly string[]>([]);
  const added = createValue<readonly AddedMember[]>([]);
  const disputes = createValue<readonly string[]>([]);
  const dialog = createValue<EncryptionDialog | undefined>(undefined);
  const revision = createValue(0);
  let account: Account | undefined;
  let e2ee: E2ee | undefined;
  /** Whether the server has not been asked since the last sign-in. */
  let isPending = true;
  let last: Promise<unknown> = Promise.resolve();

  const viewerId = () => {
    const { value } = parley.session;
    return value.status === 'signedIn' ? value.viewer?.user.id : undefined;
  };

  /** Runs one change of the state after the other. */
  function inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = last.then(work, work);
    last = result.catch(() => {});
    return result;
  }

  function setStatus(of: Account, status: EncryptionStatus, opened?: E2ee): void {
    if (of.isClosed) return;
    e2ee = status === 'ready' ? opened : undefined;
    const { isKeyPending } = readRecord(of.userId);
    const { value } = state;
    if (value.status !== status || value.isKeyPending !== isKeyPending) state.set({ status, isKeyPending });
  }

  /** Changes what is remembered of the user, and shows it. */
  function remember(of: Account, change: (record: EncryptionRecord) => Partial<EncryptionRecord>): void {
    writeRecord(of.userId, change(readRecord(of.userId)));
    show(of);
  }

  function show(of: Account): void {
    if (of.isClosed) return;
    const record = readRecord(of.userId);
    revision.set(revision.value + 1);
    changes.set(record.changed);
    disputes.set(record.disputed);
    added.set(record.added);
    const { value } = state;
    if (value.isKeyPending !== record.isKeyPending) state.set({ ...value, isKeyPending: record.isKeyPending });
  }

  /** Loads the code of encryption, and opens the keys of the user. */
  function open(of: Account): Promise<E2ee> {
    of.e2ee ??= load(of);
    of.e2ee.catch(() => {
      of.e2ee = undefined;
    });
    return of.e2ee;
  }

  async function load(of: Account): Promise<E2ee> {
    const { e2eeDocuments, indexedDbStorage, openE2ee } = await import('@parley/e2ee');
    const name = keysOf(of.userId);
    const opened = await openE2ee({
      storage: await indexedDbStorage(name),
      lockName: name,
      async execute(document, variables) {
        if (of.isClosed) throw Object.assign(new Error('The user has signed out.'), { code: 'CLOSED' });
        if (document !== e2eeDocuments.E2eeRegisterDevice) return parley.request(document, variables);
        const data = await parley.request<{ registerDevice: { device: { id: string } } }>(document, variables);
        remember(of, () => ({ deviceId: data.registerDevice.device.id }));
        return data;
      },
      onIdentityChanged: (userId) => remember(of, ({ changed }) => ({ changed: withAdded(changed, userId) })),
      onDevicesDisputed: (userId) => remember(of, ({ disputed }) => ({ disputed: withAdded(disputed, userId) })),
      onMemberAdded: (conversationId, userId) =>
        remember(of, ({ added: before }) => {
          const others = before.filter((each) => each.conversationId !== conversationId || each.userId !== userId);
          return { added: [...others, { conversationId, userId }].slice(-ADDED_MAX) };
        }),
    });
    if (of.isClosed) opened.close();
    return opened;
  }

  function close(of: Account): void {
    of.isClosed = true;
    of.e2ee?.then((opened) => opened.close()).catch(() => {});
  }

  /** Brings the state in line with the session and with what other tabs have done. */
  async function follow(): Promise<void> {
    const userId = viewerId();
    if (userId !== account?.userId) {
      if (account) close(account);
      account = userId === undefined ? undefined : { userId, e2ee: undefined, isClosed: false };
      e2ee = undefined;
      isPending = true;
      dialog.set(undefined);
      if (account) show(account);
      else state.set({ status: 'loading', isKeyPending: false });
    }
    if (!account) return;
    const of = account;
    try {
      await start(of);
      isPending = false;
    } catch {
      // Without a connection, what is stored here can be read. The remaining steps run when there is a connection.
      if (readRecord(of.userId).isReady && isSupported()) {
        await open(of).then(
          (opened) => setStatus(of, 'ready', opened),
          () => {},
        );
      }
    }
  }

  /** Asks the server what the account has, and registers this browser if it has keys. */
  async function start(of: Account): Promise<void> {
    if (!readRecord(of.userId).isReady) {
      const [{ features }, { viewer }] = await Promise.all([
        serverInfoOf(parley),
        parley.request(EncryptionAccountDocument),
      ]);
      const hasKeys = Boolean(viewer?.accountKeys);
      // Conversations that are encrypted remain so on a server that does not offer it any more.
      if (!hasKeys && !features.includes('encryption')) return setStatus(of, 'off');
      if (!isSupported()) return setStatus(of, 'unsupported');
      if (!hasKeys) return setStatus(of, 'notSetUp');
    }
    if (!isSupported()) return setStatus(of, 'unsupported');
    const opened = await open(of);
    if (await hasStarted(of, opened)) return ready(of, opened);
    remember(of, () => ({ isReady: false, isKeyPending: false, deviceId: undefined }));
    const { viewer } = await parley.request(EncryptionAccountDocument);
    setStatus(of, viewer?.accountKeys ? 'needsRecovery' : 'notSetUp');
  }

  /** Registers this browser. Returns false if it has no keys. */
  async function hasStarted(of: Account, opened: E2ee): Promise<boolean> {
    try {
      return await opened.start();
    } catch (error) {
      const code = codeOf(error);
      // The user has replaced the keys of the account on another device, or someone else has. What is here can still be read.
      if (code === 'IDENTITY_CHANGED') remember(of, ({ changed }) => ({ changed: withAdded(changed, of.userId) }));
      // Otherwise, the user has removed this device on another one.
      else if (code !== 'NOT_SET_UP') throw error;
      return code === 'IDENTITY_CHANGED';
    }
  }

  async function ready(of: Account, opened: E2ee): Promise<void> {
    const isKeyPending = (await opened.recoveryKey()) !== undefined;
    remember(of, () => ({ isReady: true, isKeyPending }));
    setStatus(of, 'ready', opened);
  }

  /** Deletes the keys of this browser. */
  async function eraseKeys(of: Account, opened: E2ee): Promise<void> {
    await opened.erase();
    removeRecord(of.userId);
    show(of);
  }

  /** Runs what needs the keys of the user. */
  function withKeys<T>(work: (of: Account, opened: E2ee) => Promise<T>): Promise<T> {
    return inOrder(async () => {
      if (!account) throw new Error('Nobody is signed in.');
      return work(account, await open(account));
    });
  }

  const refresh = () => void inOrder(follow);
  parley.session.subscribe(() => {
    if (viewerId() !== account?.userId) refresh();
  });
  parley.connection.subscribe(({ status }) => {
    if (status === 'live' && isPending) refresh();
  });
  // Another tab has set up or recovered the keys, or the user has seen a notice there.
  addEventListener('storage', ({ key }) => {
    if (!account || key !== recordKey(account.userId)) return;
    show(account);
    if (readRecord(account.userId).isReady !== (state.value.status === 'ready')) refresh();
  });

  const encryption: Encryption = {
    state,
    changes,
    disputes,
    added,
    dialog,
    get e2ee() {
      return e2ee;
    },
    get deviceId() {
      return account && readRecord(account.userId).deviceId;
    },
    openSetup: () => dialog.set({ name: 'setup' }),
    openRecovery: () => dialog.set({ name: 'recover' }),
    openVerification: (userId) => dialog.set({ name: 'verify', userId }),
    closeDialog: () => dialog.set(undefined),
    seeChange(userId) {
      if (account) remember(account, ({ changed }) => ({ changed: changed.filter((each) => each !== userId) }));
    },
    seeDispute(userId) {
      if (account) remember(account, ({ disputed }) => ({ disputed: disputed.filter((each) => each !== userId) }));
    },
    seeAdded(conversationId) {
      if (account)
        remember(account, (record) => ({
          added: record.added.filter((each) => each.conversationId !== conversationId),
        }));
    },
    setUp: (replace = false) =>
      withKeys(async (of, opened) => {
        try {
          await opened.setUp({ name: deviceName(), replaceIdentity: replace });
        } catch (error) {
          if (codeOf(error) !== 'NOT_SET_UP') throw error;
          await start(of);
          return false;
        }
        await ready(of, opened);
        return true;
      }),
    recover: (words) =>
      withKeys(async (of, opened) => {
        await opened.recover(words, { name: deviceName() });
        await ready(of, opened);
      }),
    recoveryKey: () => withKeys((_, opened) => opened.recoveryKey()),
    changeRecoveryKey: (options) =>
      withKeys(async (of, opened) => {
        await opened.changeRecoveryKey(options);
        await ready(of, opened);
      }),
    confirmRecoveryKey: () =>
      withKeys(async (of, opened) => {
        await opened.forgetRecoveryKey();
        await ready(of, opened);
      }),
    revision,
    meet: (userId) =>
      withKeys(async (of, opened) => {
        const { conversations } = parley.conversations.value;
        const direct = conversations.find(({ kind, counterpart }) => kind === 'DIRECT' && counterpart?.id === userId);
        if (!direct) return;
        // One that is not encrypted has no identities.
        await opened
          .conversation(direct.id)
          .synchronize()
          .catch(() => {});
        show(of);
      }),
    securityCode: (userId) =>
      withKeys(async (of, opened) => {
        const [{ safetyNumber }, own, other] = await Promise.all([
          import('@parley/e2ee'),
          opened.identity(of.userId),
          opened.identity(userId),
        ]);
        const identityKey = other.newIdentityKey ?? other.identityKey;
        if (!own.identityKey || !identityKey) throw new Error('No identity of the user is known.');
        return safetyNumber({ userId: of.userId, identityKey: own.identityKey }, { userId, identityKey });
      }),
    verify: (userId, isVerified) =>
      withKeys(async (of, opened) => {
        await opened.verifyIdentity(userId, isVerified);
        // Also for the other tabs.
        remember(of, ({ revision: before = 0 }) => ({ revision: before + 1 }));
      }),
    accept: (userId, identityKey) =>
      withKeys(async (of, opened) => {
        await opened.acceptIdentity(userId, identityKey);
        remember(of, ({ changed, revision: before = 0 }) => ({
          revision: before + 1,
          changed: changed.filter((each) => each !== userId),
        }));
      }),
    settled: () => inOrder(async () => {}),
    forgetKeys: () =>
      withKeys(async (of, opened) => {
        await eraseKeys(of, opened);
        await start(of);
      }),
    removeDevice: (deviceId) => withKeys((_, opened) => opened.removeDevice(deviceId)),
    rename: async (deviceId, name) => {
      await parley.request(RenameDeviceDocument, { input: { deviceId, name } });
    },
    async signOut({ erase }) {
      if (erase) {
        await withKeys(eraseKeys);
      }
      await parley.session.signOut();
    },
  };
  connectMessages(parley, encryption);
  return encryption;
}
