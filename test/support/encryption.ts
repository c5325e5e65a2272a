import { randomBytes } from 'node:crypto';
import type { Db } from '../../src/infra/database/database.js';
import type { Json, Person } from './client.js';

/** Opaque bytes in base64url, as clients send them. */
export const bytes = (length = 64): string => randomBytes(length).toString('base64url');

/** A registered device of a user. */
export interface TestDevice {
  id: string;
  owner: Person;
  signatureKey: string;
}

/** The error of a response as `CODE REASON field`, or its data. */
export async function call(person: Person, mutation: string, input: Json, selection = '__typename'): Promise<Json> {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  const { data, errors } = await person.request(
    `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${selection} } }`,
    { input },
  );
  const [error] = errors ?? [];
  if (!error) return data[mutation];
  const { code, reason, field } = error.extensions;
  return [code, reason, field].filter(Boolean).join(' ');
}

/** The same; throws if it is rejected. */
export async function must(person: Person, mutation: string, input: Json, selection?: string): Promise<Json> {
  const result = await call(person, mutation, input, selection);
  if (typeof result === 'string') throw new Error(`${mutation}: ${result}`);
  return result;
}

export async function registerDevice(owner: Person, more: Json = {}): Promise<TestDevice> {
  const signatureKey = bytes(32);
  const { device } = await must(
    owner,
    'registerDevice',
    { signatureKey, certificate: bytes(96), ...more },
    'device { id }',
  );
  return { id: device.id, owner, signatureKey };
}

export const publish = async (device: TestDevice, keyPackages: string[], lastResort?: string): Promise<number> =>
  (await must(device.owner, 'publishKeyPackages', { deviceId: device.id, keyPackages, lastResort }, 'remaining'))
    .remaining;

export const claim = async (person: Person, conversationId: string, devices: readonly TestDevice[]) =>
  (
    await must(
      person,
      'claimKeyPackages',
      { conversationId, deviceIds: devices.map(({ id }) => id) },
      'keyPackages { keyPackage lastResort device { id } }',
    )
  ).keyPackages as { keyPackage: string; lastResort: boolean; device: { id: string } }[];

/** Encrypts a conversation. */
export const enable = (person: Person, conversationId: string): Promise<Json> =>
  must(person, 'enableEncryption', { conversationId }, 'conversation { id encryption }');

export const commitInput = (device: TestDevice, conversationId: string, epoch: number, more: Json = {}): Json => ({
  conversationId,
  deviceId: device.id,
  generation: 1,
  epoch,
  commit: bytes(),
  groupInfo: bytes(),
  ...more,
});

export const COMMIT = 'commit { id generation epoch commit device { id } } conversation { id }';

/** The result of a commit from this epoch, or its error. */
export const commit = (device: TestDevice, conversationId: string, epoch: number, more: Json = {}): Promise<Json> =>
  call(device.owner, 'commitGroup', commitInput(device, conversationId, epoch, more), COMMIT);

/** Starts the group of an encrypted conversation with these devices, which is in epoch 1 afterwards. */
export async function startGroup(conversationId: string, [first, ...others]: [TestDevice, ...TestDevice[]]) {
  const committed = await commit(first, conversationId, 0, {
    addedDeviceIds: others.map(({ id }) => id),
    welcomes: others.map(({ id }) => ({ deviceId: id, welcome: bytes() })),
  });
  if (typeof committed === 'string') throw new Error(committed);
}

export const ENCRYPTED = 'id seq text editedAt encrypted { generation epoch content device { id } }';

/** The result of sending an encrypted message, or its error. */
export async function sendSealed(
  device: TestDevice,
  conversationId: string,
  epoch: number,
  { content = bytes(), clientMessageId, ...more }: Json = {},
): Promise<Json> {
  const { encrypted, ...others } = more;
  const result = await call(
    device.owner,
    'sendMessage',
    {
      conversationId,
      clientMessageId,
      encrypted: { generation: 1, epoch, deviceId: device.id, content, ...encrypted },
      ...others,
    },
    `message { ${ENCRYPTED} mentions { id } }`,
  );
  return typeof result === 'string' ? result : result.message;
}

const GROUP = `query ($id: ID!) { conversation(id: $id) { encryption encryptionGroup {
  generation epoch groupInfo devices { id } devicesToRemove { id } devicesToAdd { id }
  commits { nodes { id generation epoch commit device { id } } }
  sealedKeys { nodes { generation epoch sealed } }
} } }`;

export const groupOf = async (person: Person, id: string): Promise<Json> =>
  (await person.ask(GROUP, { id })).conversation?.encryptionGroup;

/** Descriptions of rows that contradict each other, in the whole database: empty if there are none. */
export async function findContradictions(db: Db): Promise<string[]> {
  const rows = await db.$queryRaw<{ what: string }[]>`
    SELECT 'a text in ' || conversations.id AS what FROM messages
    JOIN conversations ON conversations.id = messages.conversation_id
    WHERE messages.encrypted IS NOT NULL AND (messages.text IS NOT NULL OR messages.deleted_at IS NOT NULL
      OR conversations.encryption = 'NONE' OR conversations.visibility = 'PUBLIC')
    UNION ALL
    SELECT 'a content of a later epoch in ' || conversations.id FROM messages
    JOIN conversations ON conversations.id = messages.conversation_id
    WHERE (get_byte(messages.encrypted, 3), get_byte(messages.encrypted, 7)) > (group_generation, group_epoch)
    UNION ALL
    SELECT 'the epoch of ' || conversations.id FROM conversations
    WHERE group_epoch <> (
      SELECT count(*) FROM group_commits
      WHERE conversation_id = conversations.id AND generation = conversations.group_generation
    )
    UNION ALL
    SELECT 'an epoch without a commit in ' || conversation_id FROM group_commits
    GROUP BY conversation_id, generation HAVING max(epoch) <> count(*) - 1
    UNION ALL
    SELECT 'whether ' || device_id || ' has to leave ' || conversation_id FROM group_devices
    JOIN devices ON devices.id = device_id
    WHERE leaving <> (devices.ended_at IS NOT NULL OR NOT EXISTS (
      SELECT FROM memberships
      WHERE memberships.conversation_id = group_devices.conversation_id AND memberships.user_id = group_devices.user_id
    )) OR devices.user_id <> group_devices.user_id
    UNION ALL
    SELECT 'a commit without a change in ' || conversation_id FROM group_commits
    WHERE 1 <> (
      SELECT count(*) FROM changes
      WHERE changes.conversation_id = group_commits.conversation_id AND subject_id = group_commits.id
    )
    UNION ALL
    SELECT 'an active device of the deleted user ' || users.id FROM users JOIN devices ON devices.user_id = users.id
    WHERE users.deleted_at IS NOT NULL AND devices.ended_at IS NULL`;
  return rows.map(({ what }) => what);
}
