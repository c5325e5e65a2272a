import { beforeAll, expect, it } from 'vitest';
import type { ParleyError } from '../../../packages/client/src/errors.js';
import type { Parley } from '../../../packages/client/src/index.js';
import { equal, fromBase64Url } from '../../../packages/e2ee/src/bytes.js';
import { readCertificate } from '../../../packages/e2ee/src/certificate.js';
import type { AccountKeys } from '../../../packages/e2ee/src/identity.js';
import {
  type E2ee,
  E2eeError,
  type E2eeStorage,
  type EncryptedMessage,
  e2eeDocuments,
  encryptedMessageFields,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../../packages/e2ee/src/index.js';
import { createMls, type Mls } from '../../../packages/e2ee/src/mls.js';
import { openEpochKey, openVault } from '../../../packages/e2ee/src/recovery.js';
import type { RunningNode } from '../../../src/server/start.js';
import { type Person, registerAll } from '../../support/client.js';
import { isExhaustive } from '../../support/exhaustive.js';
import { anyMode, sharedTwo } from '../../support/place.js';
import { openAlone } from '../../support/tabs.js';
import { attempt, createGroup, openDirect } from '../../support/talk.js';
import {
  changesOf,
  changesOfAnswers,
  changesOfEvents,
  createRandom,
  createTamperer,
  fieldsOf,
  fieldsOfType,
  type Plan,
  startTamperingProxy,
} from './tampering.js';

// Devices that talk to real nodes through a proxy that changes the answers, field by field. SEED repeats the choices as far as the
// order of what happens at once allows; TAMPERING tries one change, such as `Device.certificate flip`, and prints what it causes.

const MESSAGES = `query TamperedMessages($id: ID!) {
  node(id: $id) { ... on Conversation { messages(last: 30) { nodes { ${encryptedMessageFields} } } } }
}`;
const EVENTS = `subscription TamperedEvents {
  messages { type commit { id conversationId } message { ${encryptedMessageFields} } }
}`;
/** The operations of the package, and those with which applications read messages. */
const DOCUMENTS = [...Object.values(e2eeDocuments), MESSAGES, EVENTS];

/** Fields of the type `Bytes` that no device reads, with the reason. */
const NOT_READ: Record<string, string> = {
  'AccountKeys.signature': 'devices read the one of `User.historyKeySignature`',
};

/** What decides who takes part in a direct conversation. */
const PEOPLE = /^(Query\.node|Conversation\.(kind|counterpart)|User\.id|E2eeGroup)$/;

const SHORT_MS = 18_000;
const SEED = Number(process.env['SEED'] ?? (isExhaustive ? Math.floor(Math.random() * 2 ** 31) : 1));
const ROUNDS_MAX = isExhaustive ? 400 : 1_000;

interface Device {
  name: string;
  person: Person;
  parley: Parley;
  e2ee: E2ee;
  storage: E2eeStorage;
  /** The users whom it has reported as added, by the conversations. */
  added: Set<string>;
  /** The ids under which this object of the device has opened each message, by the text. */
  shown: Map<string, Set<string>>;
  /** The version of each message that it has opened last. */
  versions: Map<string, number>;
}

/** What a sender has written. */
interface Written {
  conversationId: string;
  userId: string;
  clientMessageId: string;
  version: number;
  replyToId: string | undefined;
}

const isTyped = (error: unknown) =>
  error instanceof E2eeError || (error as Partial<ParleyError> | null)?.name === 'ParleyError';

const codeOf = (error: unknown) => (error as Partial<E2eeError> | null)?.code;

let nodes: [RunningNode, RunningNode];

beforeAll(async () => {
  nodes = await sharedTwo(anyMode);
});

it('the fields of encryption that devices read are known', () => {
  const fields = fieldsOf(DOCUMENTS);
  const read = [...fields.keys()];
  const ofBytes = fieldsOfType('Bytes');
  expect(ofBytes.filter((each) => !read.includes(each)).sort()).toEqual(Object.keys(NOT_READ).sort());
});

it('whatever answers a server changes, no device is deceived, and all continue afterwards', {
  timeout: 3_600_000,
}, async () => {
  const random = createRandom(SEED);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const chance = (probability: number) => random() < probability;
  const tamperer = createTamperer(random);
  const proxies = await Promise.all(nodes.map(({ url }) => startTamperingProxy(url, tamperer)));
  const mls: Mls = await createMls(async () => true);
  /** How much later it is for the devices. */
  let later = 0;
  const written = new Map<string, Written>();
  const history: string[] = [];
  const problems: string[] = [];
  let count = 0;

  const report = (what: string, error?: unknown) => {
    const { stack = String(error), cause } = (error ?? {}) as Error;
    problems.push(`${what}${error ? `: ${stack}${cause ? `\ncaused by ${(cause as Error).stack}` : ''}` : ''}`);
  };

  async function open(person: Person, name: string, url: string, storage = memoryStorage()): Promise<Device> {
    const parley = openAlone({ url, sync: false });
    await parley.session.useTokens({ accessToken: person.token, refreshToken: person.refreshToken });
    const added = new Set<string>();
    const e2ee = await openE2ee({
      storage,
      onMemberAdded: (conversationId, userId) => added.add(`${conversationId} ${userId}`),
      locks: memoryLocks(),
      now: () => Date.now() + later,
      execute: (document, variables) => parley.request(document, variables),
    });
    return { name, person, parley, e2ee, storage, added, shown: new Map(), versions: new Map() };
  }

  /** Runs something that may fail with a typed error. */
  async function tolerant<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const result = await work();
      history.push(`${what}: done`);
      return result;
    } catch (error) {
      const { code, message } = error as E2eeError;
      history.push(`${what}: ${code ?? ''} ${message}`);
      if (!isTyped(error)) report(`${what} has failed with an untyped error`, error);
      return undefined;
    }
  }

  const newText = () => `text ${++count}`;

  async function send(device: Device, id: string, text: string, replyToId?: string): Promise<void> {
    const clientMessageId = `message-${count}-${SEED}`;
    const { id: userId } = device.person;
    written.set(text, { conversationId: id, userId, clientMessageId, version: 1, replyToId });
    await device.e2ee.conversation(id).send({ text, ...(replyToId && { replyToId }) }, { clientMessageId });
  }

  /** Opens a message, and checks that it is what its sender has written there. */
  async function openOne(device: Device, id: string, message: EncryptedMessage): Promise<string> {
    const { content, version, sender } = await device.e2ee.conversation(id).open(message);
    const { text = '' } = content;
    const truth = written.get(text);
    const where = `${device.name} has opened ${text} as ${JSON.stringify(message)}, ${JSON.stringify(truth)}`;
    if (!truth) report(`${where}: nobody has written it`);
    else {
      if (truth.conversationId !== id) report(`${where}: it is of another conversation`);
      if (truth.userId !== sender.userId) report(`${where}: it is of another sender`);
      if (message.sender && message.sender.id !== truth.userId) report(`${where}: it is shown as that of another user`);
      if (message.replyTo && message.replyTo.id !== truth.replyToId) report(`${where}: it replies to another message`);
      if (message.clientMessageId !== truth.clientMessageId) report(`${where}: it has another place`);
      if (version !== truth.version) report(`${where}: it is another version`);
      if (version < (device.versions.get(truth.clientMessageId) ?? 1)) report(`${where}: an edit was taken back`);
      device.versions.set(truth.clientMessageId, version);
      const known = device.shown.get(text) ?? new Set();
      device.shown.set(text, known.add(message.id));
      if (known.size > 1) report(`${where}: it was shown twice`);
    }
    return text;
  }

  const page = async (device: Device, id: string): Promise<EncryptedMessage[]> => {
    const { node } = (await device.parley.request(MESSAGES, { id })) as never as {
      node?: { messages?: { nodes?: EncryptedMessage[] | null } | null } | null;
    };
    return (node?.messages?.nodes ?? []).filter((each) => each?.encrypted);
  };

  async function read(device: Device, id: string): Promise<void> {
    const messages = await page(device, id);
    await Promise.all(
      messages.map((each) => tolerant(`${device.name} opens ${each.id}`, () => openOne(device, id, each))),
    );
  }

  /** Follows the messages as an application does. */
  function follow(device: Device): void {
    device.parley.subscribe(
      EVENTS,
      {},
      {
        next: (data) => {
          const { commit, message } = ((data as { messages?: unknown } | null)?.messages ?? {}) as {
            commit?: { conversationId?: string } | null;
            message?: EncryptedMessage | null;
          };
          const id = commit?.conversationId;
          if (id) void tolerant(`${device.name} synchronizes`, () => device.e2ee.conversation(id).synchronize());
          const place = message?.conversation?.id;
          if (message?.encrypted && place) void tolerant(`${device.name} opens`, () => openOne(device, place, message));
        },
      },
    );
  }

  // ── the users, while nothing is changed ──

  const people = await registerAll(nodes[0].url, 'ana', 'ben', 'cleo', 'mallory');
  const [ana, ben, cleo, mallory] = people;
  const laptop = await open(ana, 'laptop', proxies[0] as string);
  const devices = [laptop];
  await laptop.e2ee.setUp({ name: 'Laptop' });
  for (const [index, person] of [ben, cleo].entries()) {
    const device = await open(person, person.username, proxies[index % 2] as string);
    await device.e2ee.setUp();
    devices.push(device);
  }
  const phone = await open(ana, 'phone', proxies[1] as string);
  await phone.e2ee.recover((await laptop.e2ee.recoveryKey()) as string);
  devices.push(phone);
  const benDevice = devices[1] as Device;
  const attacker = await open(mallory, 'mallory', nodes[0].url);
  await attacker.e2ee.setUp();
  const direct = await openDirect(ana, ben);
  const group = await createGroup(ana, [ben, cleo]);
  /** In which Mallory is a member. */
  const other = await createGroup(mallory, [ana, ben, cleo]);
  const membersOf = new Map([
    [direct, [ana, ben]],
    [group, [ana, ben, cleo]],
    [other, people as Person[]],
  ]);
  const inside = (id: string) => devices.filter(({ person }) => membersOf.get(id)?.includes(person));
  await laptop.e2ee.conversation(direct).enable();
  await laptop.e2ee.conversation(group).enable();
  await attacker.e2ee.conversation(other).enable();
  for (const id of membersOf.keys()) {
    for (const device of [...inside(id), ...(id === other ? [attacker] : [])]) await send(device, id, newText());
    for (const device of inside(id)) await read(device, id);
  }
  for (const { e2ee, person } of devices) {
    for (const each of [ana, ben, cleo]) if (each !== person) await e2ee.verifyIdentity(each.id);
  }
  const accountOf = async ({ storage }: Device) => ((await storage.get('account')) as { keys: AccountKeys }).keys;
  const accounts = new Map<string, AccountKeys>();
  for (const device of [...devices, attacker]) accounts.set(device.person.id, await accountOf(device));
  for (const device of [laptop, benDevice]) follow(device);

  /** A further device of Ben, which is set up and removed while answers are changed. */
  let extra: Device | undefined;
  /** Groups that were encrypted while answers were changed, and those of the current round. */
  const begun = new Set<string>();
  const fresh = new Set<string>();

  /** Checks for whom the keys of the commits that devices have sent since then are. */
  async function checkCommits(from: number): Promise<void> {
    const ids = new Map<Device, string>();
    for (const each of [...devices, ...(extra ? [extra] : [])]) {
      ids.set(each, ((await each.storage.get('device')) as { id: string } | undefined)?.id ?? '');
    }
    for (const { name, variables } of tamperer.requests.slice(from)) {
      if (name !== 'E2eeCommitGroup') continue;
      const { conversationId, deviceId, generation, epoch, groupInfo, sealedKeys } = variables['input'] as {
        conversationId: string;
        deviceId: string;
        generation: number;
        epoch: number;
        groupInfo: string;
        sealedKeys: { userId: string; epoch: number; sealed: string }[];
      };
      const committer = [...devices, extra].find((each) => each && ids.get(each) === deviceId);
      const members = (membersOf.get(conversationId) ?? []).map((each) => each.id);
      // The server decides who is a member of a group; devices report it.
      const mayRead = (userId: string) =>
        members.includes(userId) ||
        begun.has(conversationId) ||
        (conversationId !== direct && committer?.added.has(`${conversationId} ${userId}`) === true);
      for (const { identity } of mls.viewOfGroupInfo(fromBase64Url(groupInfo)).members) {
        const { userId, identityKey } = await readCertificate(identity);
        const accepted = accounts.get(userId)?.identity.publicKey;
        const isRight = mayRead(userId) && accepted && equal(accepted, identityKey);
        if (!isRight) report(`a commit of ${conversationId} adds a device of ${userId}`);
      }
      for (const { userId, sealed, ...place } of sealedKeys) {
        if (!mayRead(userId)) report(`a key of ${conversationId} is sealed for ${userId}`);
        const bytes = fromBase64Url(sealed);
        for (let at = 0; at < bytes.length; at += 80) {
          const account = accounts.get(userId);
          const where = { conversationId, generation, epoch: place.epoch };
          const key = account && (await openEpochKey(account, where, bytes.subarray(at, at + 80)));
          if (!key) report(`a key of ${JSON.stringify(where)} (from ${epoch}) is sealed for a key not of ${userId}`);
        }
      }
    }
  }

  // ── rounds ──

  async function edit(device: Device, id: string): Promise<void> {
    const [text, before] = pick(
      [...written].filter(([, each]) => each.conversationId === id && each.userId === device.person.id),
    );
    const message = (await page(device, id)).find((each) => each.clientMessageId === before.clientMessageId);
    if (!message) return;
    const [next, version] = [newText(), before.version + 1];
    const conversation = device.e2ee.conversation(id);
    const isLatest = [...written.values()].every(
      (each) => each.clientMessageId !== before.clientMessageId || each.version <= before.version,
    );
    if (!isLatest) return;
    const content = { text: next, ...(before.replyToId && { replyToId: before.replyToId }) };
    history.push(`${device.name} edits ${text}`);
    honest.delete(text);
    written.set(next, { ...before, version });
    const encrypted = await conversation.encrypt(before.clientMessageId, content, { version });
    await attempt(device.person, 'editMessage', { messageId: message.id, encrypted });
    await conversation.settled(before.clientMessageId, version);
  }

  async function addExtra(id: string): Promise<void> {
    const made = await open(ben, 'extra', pick(proxies) as string);
    const words = (await benDevice.e2ee.recoveryKey()) as string;
    await made.e2ee.recover(words);
    extra = made;
    await read(made, id);
    await send(made, id, newText());
  }

  async function removeExtra({ e2ee, person, storage }: Device): Promise<void> {
    const { viewer } = await person.ask('{ viewer { devices { id signatureKey } } }');
    const stored = (await storage.get('device')) as { signature: { publicKey: Uint8Array } } | undefined;
    const key = Buffer.from(stored?.signature.publicKey ?? []).toString('base64url');
    const registered = viewer.devices.find((each: { signatureKey: string }) => each.signatureKey === key);
    e2ee.close();
    extra = undefined;
    if (registered) await benDevice.e2ee.removeDevice(registered.id);
  }

  /** Encrypts a new group. */
  async function begin(): Promise<void> {
    const id = await createGroup(ana, [ben, cleo]);
    begun.add(id);
    fresh.add(id);
    await tolerant('laptop encrypts a group', () => laptop.e2ee.conversation(id).enable());
    for (const device of [laptop, benDevice]) {
      await tolerant(`${device.name} sends in it`, () => send(device, id, newText()));
      await tolerant(`${device.name} reads it`, () => read(device, id));
    }
  }

  /**
   * Whether the answers are changed that decide who the two users of a direct conversation are. The first one counts, so that a new
   * device can omit the other user as a recipient for as long as it exists.
   */
  let isAboutPeople = false;

  async function act(): Promise<void> {
    const id = pick([...membersOf.keys()].filter((each) => each !== other || chance(0.3)));
    const device = pick(inside(id));
    const { name, e2ee } = device;
    const kind = random();
    if (kind < 0.35) await tolerant(`${name} sends`, () => send(device, id, newText()));
    else if (kind < 0.55) await tolerant(`${name} reads`, () => read(device, id));
    else if (kind < 0.62) await tolerant(`${name} synchronizes`, () => e2ee.conversation(id).synchronize());
    else if (kind < 0.7) await tolerant(`${name} edits`, () => edit(device, id));
    else if (kind < 0.78) await tolerant(`${name} starts`, () => e2ee.start());
    else if (kind < 0.8) await tolerant(`${name} changes the recovery key`, () => laptop.e2ee.changeRecoveryKey());
    else if (kind < 0.83) await tolerant(`${name} resets`, () => e2ee.conversation(id).reset());
    else if (kind < 0.88) await begin();
    else if (extra) await tolerant('Ben removes the other device', () => removeExtra(extra as Device));
    else if (!isAboutPeople) {
      await tolerant('Ben recovers on another device', () => addExtra(id === group ? group : direct));
    }
  }

  /** The texts that were sent while nothing was changed, and that nobody has edited, with their conversations. */
  const honest = new Map<string, string>();
  const textOf = (clientMessageId: string | null | undefined) =>
    [...written].find(([, each]) => each.clientMessageId === clientMessageId)?.[0];

  /** Nothing is changed any more: every device can send and read, if necessary after a restart of the application. */
  async function settle(): Promise<void> {
    later += 11 * 60_000;
    const sent = new Map<string, string[]>();
    for (const device of devices) {
      const id = pick([...membersOf.keys()].filter((each) => inside(each).includes(device)));
      for (const isLast of [false, true]) {
        const text = newText();
        try {
          await send(device, id, text);
          sent.set(id, [...(sent.get(id) ?? []), text]);
          break;
        } catch (error) {
          if (isLast) report(`${device.name} cannot send in ${id} afterwards`, error);
          else await device.e2ee.start();
        }
      }
    }
    for (const [id, texts] of sent) for (const text of texts) honest.set(text, id);
    for (const id of fresh) {
      await laptop.e2ee.conversation(id).enable();
      const text = newText();
      try {
        await send(laptop, id, text);
        const message = (await page(benDevice, id)).at(-1) as EncryptedMessage;
        const opened = await openOne(benDevice, id, message);
        if (opened !== text) report(`${benDevice.name} reads ${opened} in place of ${text}`);
      } catch (error) {
        // The first answer of the server decides who the users of a direct conversation are, and that a conversation is one.
        if (codeOf(error) !== 'UNEXPECTED_MEMBER') report(`the new group ${id} cannot be used afterwards`, error);
      }
    }
    fresh.clear();
    for (const id of sent.keys()) {
      for (const device of inside(id)) {
        const shown = await page(device, id);
        for (const text of sent.get(id) ?? []) {
          const { clientMessageId } = written.get(text) as Written;
          if (!shown.some((each) => each.clientMessageId === clientMessageId)) report(`${text} is not stored`);
        }
        for (const message of shown) {
          const text = textOf(message.clientMessageId);
          if (!text || honest.get(text) !== id) continue;
          try {
            const opened = await openOne(device, id, message);
            if (opened !== text) report(`${device.name} reads ${opened} in place of ${text}`);
          } catch (error) {
            // A message that the server has first shown as another one is refused until the application is restarted.
            const isShownAsOther = [...(device.shown.get(text) ?? [])].some((each) => each !== message.id);
            if (!isShownAsOther) report(`${device.name} cannot open ${text} afterwards`, error);
          }
        }
      }
    }
    const { viewer } = await ana.ask('{ viewer { accountKeys { vault } } }');
    const words = (await laptop.e2ee.recoveryKey()) as string;
    await openVault(words, ana.id, fromBase64Url(viewer.accountKeys.vault)).catch((error) =>
      report('the recovery key of Ana does not open her vault', error),
    );
  }

  const fields = fieldsOf(DOCUMENTS);
  const possible: Plan['targets'] = [
    ...[...fields].flatMap(([coordinate, type]) => changesOf(type).map((change) => ({ coordinate, change }))),
    ...Object.keys(e2eeDocuments).flatMap((coordinate) => changesOfAnswers.map((change) => ({ coordinate, change }))),
    ...changesOfAnswers.map((change) => ({ coordinate: 'TamperedMessages', change })),
    ...changesOfEvents.map((change) => ({ coordinate: 'TamperedEvents', change })),
  ];
  const given = process.env['TAMPERING'];
  const began = Date.now();
  let waiting: Plan['targets'] = [];
  let rounds = 0;
  // Everything that devices can read is read once.
  const first = (await page(laptop, group)).at(-1) as EncryptedMessage;
  await send(laptop, group, newText(), first.id);
  const readers = [laptop, benDevice];
  for (const device of readers) await read(device, group);
  // Which message is edited is random; some cannot be.
  const edits = () => history.filter((each) => each.startsWith('laptop edits')).length;
  for (const before = edits(); edits() === before; ) await edit(laptop, group);
  for (const device of readers) await read(device, group);
  // Devices that have opened the edit refuse what was there before.
  tamperer.follow({ targets: [{ coordinate: 'TamperedMessages', change: 'older' }], probability: 1 });
  const isRefused = ({ name }: Device) =>
    history.some((each) => each.startsWith(`${name} opens`) && each.includes('taken back an edit'));
  for (const device of readers) {
    for (let times = 0; times < 40 && !isRefused(device); times++) await read(device, group);
    expect(isRefused(device), device.name).toBe(true);
  }
  tamperer.follow(undefined);
  await addExtra(group);
  await removeExtra(extra as never as Device);
  await send(laptop, group, newText());
  await begin();
  await settle();
  expect(problems).toEqual([]);
  expect([...fields.keys()].filter((each) => !tamperer.seen.has(each))).toEqual([]);
  for (; rounds < ROUNDS_MAX && (isExhaustive || Date.now() - began < SHORT_MS); rounds++) {
    if (waiting.length === 0) {
      waiting = possible.filter(({ coordinate, change }) => !given || `${coordinate} ${change}`.startsWith(given));
      waiting.sort(() => random() - 0.5);
    }
    const targets = waiting.splice(0, given ? 1 : 5);
    const [from, logged] = [tamperer.requests.length, history.length];
    isAboutPeople = targets.some(({ coordinate }) => PEOPLE.test(coordinate));
    tamperer.follow({ targets, probability: pick([0.2, 0.6, 1]) });
    for (let step = 0; step < 6; step++) await act();
    tamperer.follow(undefined);
    await checkCommits(from);
    await settle();
    await checkCommits(from);
    if (problems.length > 0) {
      throw new Error(
        `SEED=${SEED}, round ${rounds}: ${JSON.stringify(targets)}\n${problems.slice(0, 4).join('\n\n')}\n${history
          .slice(logged)
          .slice(-60)
          .join('\n')}`,
      );
    }
  }
  if (isExhaustive && !given) {
    const changed = [...tamperer.counts.keys()].map((each) => each.split(' ')[0]);
    expect([...fields.keys()].filter((each) => !changed.includes(each))).toEqual([]);
  }
  console.log(
    `seed ${SEED}: ${rounds} rounds, ${[...tamperer.counts.values()].reduce((sum, each) => sum + each, 0)} changes`,
  );
});
