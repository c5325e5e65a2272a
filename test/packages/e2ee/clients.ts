import {
  type E2ee,
  type E2eeOptions,
  type E2eeStorage,
  memoryLocks,
  memoryStorage,
  openE2ee,
} from '../../../packages/e2ee/src/index.js';
import { createFakeServer, type StoredMessage } from './fake-server.js';

export type Server = ReturnType<typeof createFakeServer>;

export interface Client {
  e2ee: E2ee;
  storage: E2eeStorage;
  userId: string;
}

/** A device of a user, or another tab of it with the same storage. */
export async function openClient(server: Server, userId: string, options: Partial<E2eeOptions> = {}): Promise<Client> {
  const storage = options.storage ?? memoryStorage();
  const e2ee = await openE2ee({ storage, execute: server.executeAs(userId), locks: memoryLocks(), ...options });
  return { e2ee, storage, userId };
}

/** The first device of a user. */
export async function setUp(server: Server, userId: string, options: Partial<E2eeOptions> = {}): Promise<Client> {
  const client = await openClient(server, userId, options);
  await client.e2ee.setUp();
  return client;
}

/** Another device of the user, with the recovery key. */
export async function recover(server: Server, first: Client, options: Partial<E2eeOptions> = {}): Promise<Client> {
  const client = await openClient(server, first.userId, options);
  await client.e2ee.recover((await first.e2ee.recoveryKey()) as string);
  return client;
}

/** An encrypted group of Alice and Bob, with a message of each. */
export async function scene(
  ofAlice: Partial<E2eeOptions> = {},
  ofBob: Partial<E2eeOptions> = {},
  server: Server = createFakeServer(),
) {
  const [alice, bob] = [await setUp(server, 'alice', ofAlice), await setUp(server, 'bob', ofBob)];
  const conversation = server.createConversation(['alice', 'bob']);
  const { id } = conversation;
  await alice.e2ee.conversation(id).enable();
  await alice.e2ee.conversation(id).send({ text: 'from Alice' });
  await bob.e2ee.conversation(id).send({ text: 'from Bob' });
  return { server, alice, bob, conversation, id, messages: conversation.messages };
}

export async function textOf({ e2ee }: Client, message: StoredMessage | undefined): Promise<string | undefined> {
  if (!message) throw new Error('There is no such message.');
  return (await e2ee.conversation(message.conversation.id).open(message)).content.text;
}

/** The ids of the devices of a user on the server that have not ended. */
export const devicesOf = ({ devices }: Server, userId: string): string[] =>
  [...devices.values()].filter((each) => each.userId === userId && !each.isEnded).map(({ id }) => id);

export const membersOf = async ({ e2ee }: Client, id: string): Promise<string[]> =>
  (await e2ee.conversation(id).members()).map(({ userId }) => userId).sort();
