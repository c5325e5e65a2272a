import { expect, it } from 'vitest';
import { type E2ee, type E2eeStorage, memoryLocks, memoryStorage, openE2ee } from '../../../packages/e2ee/src/index.js';
import { isExhaustive } from '../../support/exhaustive.js';
import { createFakeServer, type StoredMessage } from './fake-server.js';

// Devices that crash at any write, requests and answers that are lost, several tabs, and changing members: whatever happens, each
// message is stored once, and everybody who may read it can. E2EE_STEPS sets the number of steps (10000 takes about an hour),
// SEED repeats a schedule as far as the order of what happens at once allows.

const SHORT_MS = 8_000;
const STEPS_MAX = Number(process.env['E2EE_STEPS'] ?? (isExhaustive ? 2_000 : 1_000_000));
const isShort = !process.env['E2EE_STEPS'] && !isExhaustive;
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** After how many steps all failures end and everything is compared. */
const COMPARED_EVERY = 25;

/** Uniformly distributed numbers in [0, 1): mulberry32. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  };
}

class Crash extends Error {
  readonly code = 'NETWORK';
}

interface Tab {
  e2ee: E2ee;
  isDead: boolean;
  /** How many writes it survives, and whether the last one takes effect. */
  crash: { writes: number; isWritten: boolean } | undefined;
}

interface Device {
  userId: string;
  storage: E2eeStorage;
  locks: ReturnType<typeof memoryLocks>;
  tabs: Tab[];
  outbox: { clientMessageId: string; text: string }[];
  isRemoved: boolean;
}

it('no message is undecryptable, lost or stored twice, whatever fails', { timeout: 7_200_000 }, async () => {
  const random = createRandom(SEED);
  const server = createFakeServer();
  const users = ['alice', 'bob', 'carol'];
  const conversation = server.createConversation(users);
  const { id, messages } = conversation;
  const texts = new Map<string, string>();
  const words = new Map<string, string>();
  const devices: Device[] = [];
  /** The epoch from which on each member can read. */
  const since = new Map<string, number>(users.map((user) => [user, 0]));
  const counts = { steps: 0, crashes: 0, lost: 0, compared: 0 };
  let now = Date.now();
  let areFailuresOn = true;

  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const live = () => devices.filter(({ isRemoved }) => !isRemoved);
  const isMember = ({ userId }: Device) => conversation.members.has(userId);

  async function openTab(device: Device): Promise<Tab> {
    const tab: Tab = { e2ee: undefined as never, isDead: false, crash: undefined };
    const alive = () => {
      if (tab.isDead) throw new Crash('The tab has crashed.');
    };
    const execute = server.executeAs(device.userId);
    const { storage } = device;
    tab.e2ee = await openE2ee({
      // Sometimes a browser takes the lock from a tab that still runs.
      locks: random() < 0.8 ? device.locks : memoryLocks(),
      now: () => now,
      storage: {
        ...storage,
        async get(key) {
          alive();
          return storage.get(key);
        },
        async list(prefix) {
          alive();
          return storage.list(prefix);
        },
        async write(changes, guard) {
          alive();
          if (tab.crash && --tab.crash.writes < 0) {
            tab.isDead = true;
            counts.crashes += 1;
            if (tab.crash.isWritten) await storage.write(changes, guard);
            alive();
          }
          return storage.write(changes, guard);
        },
      },
      async execute(document, variables) {
        alive();
        const fate = areFailuresOn ? random() : 1;
        if (fate < 0.1) counts.lost += 1;
        if (fate < 0.05) throw new Crash('The request was lost.');
        const answer = await execute(document, variables);
        if (fate < 0.1) throw new Crash('The answer was lost.');
        alive();
        return answer;
      },
    });
    device.tabs.push(tab);
    return tab;
  }

  async function tabOf(device: Device): Promise<Tab> {
    device.tabs = device.tabs.filter(({ isDead }) => !isDead);
    return device.tabs.length < 2 && random() < 0.3 ? openTab(device) : (device.tabs.at(-1) ?? (await openTab(device)));
  }

  /** Whether a failure is one that this schedule caused. Everything else fails the test. */
  function allow(error: unknown, device: Device): void {
    const { code } = error as { code?: string };
    if (code === 'NETWORK') return;
    const isOutside = device.isRemoved || !isMember(device);
    if (isOutside && ['NOT_A_MEMBER', 'NOT_FOUND', 'FORBIDDEN', 'NOT_SET_UP'].includes(code ?? '')) {
      device.outbox = [];
      return;
    }
    throw error;
  }

  async function addDevice(userId: string): Promise<Device> {
    const device: Device = {
      userId,
      storage: memoryStorage(),
      locks: memoryLocks(),
      tabs: [],
      outbox: [],
      isRemoved: false,
    };
    for (;;) {
      const tab = await openTab(device);
      arm(tab);
      try {
        const recoveryKey = words.get(userId);
        if (recoveryKey) await tab.e2ee.recover(recoveryKey);
        else await tab.e2ee.setUp();
        words.set(userId, recoveryKey ?? ((await tab.e2ee.recoveryKey()) as string));
        tab.crash = undefined;
        break;
      } catch (error) {
        allow(error, device);
        tab.isDead = true;
      }
    }
    devices.push(device);
    return device;
  }

  function arm(tab: Tab): void {
    if (areFailuresOn && random() < 0.2) tab.crash = { writes: Math.floor(random() * 4), isWritten: random() < 0.5 };
  }

  /** Sends what waits, as an outbox does. */
  async function flush(device: Device): Promise<void> {
    const tab = await tabOf(device);
    arm(tab);
    for (const entry of [...device.outbox]) {
      const { clientMessageId, text } = entry;
      try {
        await tab.e2ee.conversation(id).send({ text }, { clientMessageId });
        device.outbox = device.outbox.filter((each) => each !== entry);
      } catch (error) {
        return allow(error, device);
      }
    }
  }

  function write(device: Device): void {
    const clientMessageId = `${device.userId}-${texts.size}`;
    texts.set(clientMessageId, `text ${texts.size}`);
    device.outbox.push({ clientMessageId, text: texts.get(clientMessageId) as string });
  }

  async function read(device: Device, message: StoredMessage): Promise<string | undefined> {
    const tab = await tabOf(device);
    return (await tab.e2ee.conversation(id).open(message)).content.text;
  }

  const mayRead = (device: Device, { encrypted }: StoredMessage) =>
    isMember(device) && encrypted.epoch >= (since.get(device.userId) ?? Number.POSITIVE_INFINITY);

  /** Ends the session of a device, in which another one sends a message, and registers the device again. */
  async function signOutAndIn(device: Device, other: Device): Promise<void> {
    const record = (await device.storage.get('device')) as { id?: string };
    if (!record.id || device === other) return;
    server.endSession(record.id);
    write(other);
    await flush(other);
    for (;;) {
      try {
        await (await tabOf(device)).e2ee.start();
        return;
      } catch (error) {
        allow(error, device);
      }
    }
  }

  async function step(): Promise<void> {
    const members = live().filter(isMember);
    const choice = random();
    now += 1_100;
    if (choice < 0.4) {
      const device = pick(members);
      write(device);
      await flush(device);
    } else if (choice < 0.5) {
      const device = pick(members);
      write(device);
      await Promise.all([flush(device), flush(device)]);
    } else if (choice < 0.6) {
      const senders = [pick(members), pick(members), pick(members)];
      for (const sender of senders) write(sender);
      await Promise.all(senders.map(flush));
    } else if (choice < 0.75) {
      const device = pick(members);
      for (const message of messages.slice(-5).filter((each) => mayRead(device, each))) {
        try {
          expect(await read(device, message)).toBe(texts.get(message.clientMessageId as string));
        } catch (error) {
          allow(error, device);
        }
      }
    } else if (choice < 0.82) {
      const user = pick(['bob', 'carol']);
      since.delete(user);
      if (!conversation.members.delete(user)) conversation.members.add(user);
    } else if (choice < 0.87) {
      const user = pick(users);
      if (live().filter(({ userId }) => userId === user).length < 3) await addDevice(user);
    } else if (choice < 0.9) {
      const device = pick(live());
      const others = live().filter((each) => each !== device && each.userId === device.userId);
      const record = (await device.storage.get('device')) as { id?: string };
      if (others.length > 0 && record.id) {
        device.isRemoved = true;
        // What it has sent already can be repeated by no one else.
        server.endDevice(record.id);
      }
    } else if (choice < 0.93) {
      await signOutAndIn(pick(members), pick(members));
    } else if (choice < 0.96) {
      for (const tab of pick(live()).tabs) tab.isDead = true;
    } else {
      const device = pick(live());
      const record = await device.storage.get(`group:${id}`);
      // Its keys are due to be renewed.
      if (record) await device.storage.write({ [`group:${id}`]: { ...record, renewedAt: 0 } });
      await (await tabOf(device)).e2ee.start().catch((error) => allow(error, device));
    }
    // From the first key that is sealed for a new member, all later ones have to be.
    for (const user of conversation.members) {
      const first = conversation.sealed.findLast((each) => each.userId === user)?.epoch;
      if (!since.has(user) && first === conversation.epoch) since.set(user, first);
    }
  }

  /** Ends all failures, and checks what was promised. */
  async function compare(): Promise<void> {
    areFailuresOn = false;
    for (const device of live()) for (const tab of device.tabs) tab.crash = undefined;
    now += 1_100;
    // Nobody else does anything before they read it.
    const sender = pick(live().filter(isMember));
    write(sender);
    await flush(sender);
    const last = messages.at(-1) as StoredMessage;
    for (const device of live().filter(isMember)) {
      expect(await read(device, last)).toBe(texts.get(last.clientMessageId as string));
    }
    for (const device of live().filter(isMember)) {
      await flush(device);
      expect(device.outbox).toEqual([]);
      for (const message of messages.slice(-60).filter((each) => mayRead(device, each))) {
        expect(await read(device, message)).toBe(texts.get(message.clientMessageId as string));
      }
    }
    const keys = messages.map(({ clientMessageId }) => clientMessageId);
    expect(new Set(keys).size).toBe(keys.length);
    counts.compared += 1;
    areFailuresOn = true;
  }

  try {
    for (const user of users) await addDevice(user);
    for (const device of devices) {
      await (await tabOf(device)).e2ee
        .conversation(id)
        .enable()
        .catch((error) => allow(error, device));
    }
    const end = Date.now() + (isShort ? SHORT_MS : 7_000_000);
    for (; counts.steps < STEPS_MAX && Date.now() < end; counts.steps++) {
      await step();
      if (counts.steps % COMPARED_EVERY === COMPARED_EVERY - 1) await compare();
    }
    await compare();
  } catch (error) {
    throw new Error(`SEED=${SEED}, ${JSON.stringify(counts)}`, { cause: error });
  }
  console.log(`seed ${SEED}: ${JSON.stringify({ ...counts, messages: messages.length, epoch: conversation.epoch })}`);
  expect(counts.crashes).toBeGreaterThan(0);
  expect(counts.lost).toBeGreaterThan(0);
});
