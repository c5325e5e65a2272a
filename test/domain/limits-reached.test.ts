import { beforeAll, describe, expect, it } from 'vitest';
import { decodeGlobalId, encodeGlobalId, newId } from '../../src/core/ids.js';
import type { RunningNode } from '../../src/server/start.js';
import { accept, start } from '../support/calls.js';
import { type Answer, connectInTest, type Json, listen, type Person, registerAll } from '../support/client.js';
import { bytes, commitInput, enable, registerDevice, startGroup } from '../support/encryption.js';
import { detailModes, makePlace } from '../support/place.js';
import { createGroup, edit, openDirect, pin, react, reply, send } from '../support/talk.js';

const settings = {
  ATTACHMENT_MAX_BYTES: '1000',
  ATTACHMENTS_MAX: '1',
  BLOCKS_MAX: '1',
  CALL_PARTIES_MAX: '2',
  CALL_SFU_KEY: 'the key',
  CALL_SFU_PARTIES_MAX: '2',
  CALL_SFU_SECRET: 'the secret of the LiveKit server, long enough',
  CALL_SFU_URL: 'wss://livekit.example.com',
  CALL_SIGNAL_MAX_BYTES: '1024',
  CALL_SIGNALS_MAX: '10',
  CONTACTS_MAX: '1',
  DEVICES_PER_PERSON_MAX: '2',
  DRAFTS_MAX: '1',
  ENCRYPTED_ADDS_MAX: '1',
  ENCRYPTED_CONTENT_MAX_BYTES: '64',
  ENCRYPTED_DEVICES_MAX: '2',
  ENCRYPTION_KEY_MAX_BYTES: '256',
  GROUP_ADD_MAX: '2',
  GROUP_COMMIT_MAX_BYTES: '1024',
  GROUP_MAX_MEMBERS: '3',
  GROUPS_MAX: '1',
  KEY_PACKAGES_MAX: '1',
  KEY_VAULT_MAX_BYTES: '256',
  MENTIONS_MAX: '1',
  MESSAGE_EDIT_WINDOW: '1h',
  MESSAGE_MAX_CHARS: '100',
  OPERATION_COST_MAX: '300',
  OPERATION_DEPTH_MAX: '6',
  PAGE_MAX: '10',
  PINS_MAX: '1',
  PRESENCE_MAX_WATCHED: '1',
  REACTION_EMOJIS_MAX: '2',
  REACTIONS_PER_PERSON_MAX: '2',
  REPORT_COMMENT_MAX_CHARS: '100',
  SEALED_KEYS_MAX: '1',
  SOCKET_STREAMS_MAX: '1',
  STATUS_LISTED_MAX: '1',
  STATUS_MAX_CHARS: '100',
  STATUSES_MAX: '1',
  SUMMARY_MESSAGES_MAX: '10',
  UPLOADS_OPEN_MAX: '2',
};

/** Fields of `serverInfo.limits` that no request can exceed. */
const neverExceeded = [
  // The call ends instead.
  'callRingTimeMs',
  // `addMembers` skips these users, so that the reason is not disclosed.
  'groupsAddedMax',
  // Larger conversations have no receipts and do not show who is typing.
  'receiptMaxMembers',
  'typingMaxMembers',
  // Another session ends instead.
  'sessionsPerPersonMax',
  'typingTtlMs',
  'statusTtlMs',
  // The upload is deleted instead.
  'uploadTtlSeconds',
  // The oldest device ends instead.
  'pushSubscriptionsMax',
  'pushAttentionTtlMs',
  // The oldest notification is deleted instead, and everybody in a larger conversation sees the mention there only.
  'notificationsMax',
  'notificationEveryoneMaxMembers',
  // Older key packages are not given out.
  'keyPackageLifetimeSeconds',
];

/** The users of one case, who have not reached any limit. */
interface Scene {
  node: RunningNode;
  ana: Person;
  bob: Person;
  carol: Person;
  dora: Person;
}

interface Case {
  limit: string;
  /** The call that exceeds the limit. */
  by: string;
  code: 'FORBIDDEN' | 'BAD_USER_INPUT' | 'PAYLOAD_TOO_LARGE' | 'RATE_LIMITED';
  exceed(scene: Scene): Promise<unknown>;
}

const mutate = (person: Person, mutation: string, input: Json): Promise<Answer> => {
  const type = `${mutation.charAt(0).toUpperCase()}${mutation.slice(1)}Input`;
  return person.request(`mutation ($input: ${type}!) { ${mutation}(input: $input) { __typename } }`, { input });
};
const errorsOf = async (answer: Promise<Answer>) => (await answer).errors;
const PRESENCE = 'subscription ($userIds: [ID!]) { presence(userIds: $userIds) { user { id } } }';

const uploadOf = (clientUploadId: string, byteSize = 1) => ({ clientUploadId, byteSize, kind: 'FILE', filename: 'a' });

const cases: Case[] = [
  {
    limit: 'attachmentMaxBytes',
    by: 'createUpload',
    code: 'PAYLOAD_TOO_LARGE',
    exceed: ({ ana }) => errorsOf(mutate(ana, 'createUpload', uploadOf('one', 1_001))),
  },
  {
    limit: 'attachmentsMax',
    by: 'sendMessage',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob }) {
      const conversationId = await openDirect(ana, bob);
      const attachmentIds = [1, 2].map(() => encodeGlobalId('Attachment', newId()));
      return errorsOf(mutate(ana, 'sendMessage', { conversationId, attachmentIds }));
    },
  },
  {
    limit: 'uploadsOpenMax',
    by: 'createUpload',
    code: 'FORBIDDEN',
    async exceed({ ana }) {
      for (const key of ['one', 'two']) await mutate(ana, 'createUpload', uploadOf(key));
      return errorsOf(mutate(ana, 'createUpload', uploadOf('three')));
    },
  },
  {
    limit: 'devicesPerPersonMax',
    by: 'registerDevice',
    code: 'FORBIDDEN',
    async exceed({ ana }) {
      for (let n = 0; n < 2; n += 1) await registerDevice(ana);
      return errorsOf(mutate(ana, 'registerDevice', { signatureKey: bytes(), certificate: bytes() }));
    },
  },
  {
    limit: 'encryptionKeyMaxBytes',
    by: 'registerDevice',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana }) => errorsOf(mutate(ana, 'registerDevice', { signatureKey: bytes(), certificate: bytes(257) })),
  },
  {
    limit: 'keyVaultMaxBytes',
    by: 'setAccountKeys',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana }) =>
      errorsOf(
        mutate(ana, 'setAccountKeys', {
          identityKey: bytes(),
          historyKey: bytes(),
          signature: bytes(),
          vault: bytes(257),
        }),
      ),
  },
  {
    limit: 'keyPackagesMax',
    by: 'publishKeyPackages',
    code: 'FORBIDDEN',
    async exceed({ ana }) {
      const { id: deviceId } = await registerDevice(ana);
      return errorsOf(mutate(ana, 'publishKeyPackages', { deviceId, keyPackages: [bytes(), bytes()] }));
    },
  },
  {
    limit: 'encryptedAddsMax',
    by: 'claimKeyPackages',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob }) {
      const deviceIds = [(await registerDevice(bob)).id, (await registerDevice(bob)).id];
      return errorsOf(mutate(ana, 'claimKeyPackages', { conversationId: await openDirect(ana, bob), deviceIds }));
    },
  },
  {
    limit: 'encryptedDevicesMax',
    by: 'enableEncryption',
    code: 'FORBIDDEN',
    exceed: async ({ ana, bob, carol }) =>
      errorsOf(mutate(ana, 'enableEncryption', { conversationId: await createGroup(ana, [bob, carol]) })),
  },
  {
    limit: 'encryptedDevicesMax',
    by: 'commitGroup',
    code: 'FORBIDDEN',
    async exceed({ ana, bob }) {
      const conversationId = await openDirect(ana, bob);
      await enable(ana, conversationId);
      await startGroup(conversationId, [await registerDevice(ana), await registerDevice(bob)]);
      return errorsOf(mutate(ana, 'commitGroup', commitInput(await registerDevice(ana), conversationId, 1)));
    },
  },
  {
    limit: 'sealedKeysMax',
    by: 'setSealedKeys',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob }) {
      const sealedKeys = [0, 1].map((epoch) => ({ generation: 1, epoch, sealed: bytes() }));
      return errorsOf(mutate(ana, 'setSealedKeys', { conversationId: await openDirect(ana, bob), sealedKeys }));
    },
  },
  {
    limit: 'groupCommitMaxBytes',
    by: 'commitGroup',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob }) {
      const conversationId = await openDirect(ana, bob);
      const input = commitInput(await registerDevice(ana), conversationId, 0, { commit: bytes(1_025) });
      return errorsOf(mutate(ana, 'commitGroup', input));
    },
  },
  {
    limit: 'encryptedContentMaxBytes',
    by: 'sendMessage',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob }) {
      const conversationId = await openDirect(ana, bob);
      const { id: deviceId } = await registerDevice(ana);
      const encrypted = { generation: 1, epoch: 1, deviceId, content: bytes(65) };
      return errorsOf(mutate(ana, 'sendMessage', { conversationId, encrypted }));
    },
  },
  {
    limit: 'blocksMax',
    by: 'blockUser',
    code: 'FORBIDDEN',
    async exceed({ ana, bob, carol }) {
      await mutate(ana, 'blockUser', { userId: bob.id });
      return errorsOf(mutate(ana, 'blockUser', { userId: carol.id }));
    },
  },
  {
    limit: 'callMembersMax',
    by: 'startCall',
    code: 'FORBIDDEN',
    async exceed({ node, ana }) {
      const conversationId = await createGroup(ana, []);
      const { id } = decodeGlobalId(conversationId, 'id');
      await node.deps.database.db.conversation.update({ where: { id }, data: { memberCount: 1_001 } });
      return errorsOf(mutate(ana, 'startCall', { conversationId, kind: 'VOICE', clientCallId: 'one' }));
    },
  },
  {
    limit: 'callPartiesMax',
    by: 'acceptCall',
    code: 'FORBIDDEN',
    async exceed({ ana, bob, carol }) {
      const group = await createGroup(ana, [bob]);
      const { call } = await start(ana, group);
      await mutate(ana, 'addMembers', { conversationId: group, userIds: [carol.id] });
      await accept(bob, call.id);
      return errorsOf(mutate(carol, 'acceptCall', { callId: call.id }));
    },
  },
  {
    limit: 'callSfuPartiesMax',
    by: 'acceptCall',
    code: 'FORBIDDEN',
    async exceed({ ana, bob, carol }) {
      const { call } = await start(ana, await createGroup(ana, [bob, carol]));
      await accept(bob, call.id);
      return errorsOf(mutate(carol, 'acceptCall', { callId: call.id }));
    },
  },
  {
    limit: 'callSignalMaxBytes',
    by: 'sendCallSignals',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob }) {
      const { call, partyId } = await start(ana, await openDirect(ana, bob));
      const input = { callId: call.id, fromPartyId: partyId, toPartyId: partyId, payloads: ['x'.repeat(1_025)] };
      return errorsOf(mutate(ana, 'sendCallSignals', input));
    },
  },
  {
    limit: 'callSignalsMax',
    by: 'sendCallSignals',
    code: 'FORBIDDEN',
    async exceed({ ana, bob }) {
      const { call, partyId: fromPartyId } = await start(ana, await openDirect(ana, bob));
      const { partyId: toPartyId } = await accept(bob, call.id);
      const input = { callId: call.id, fromPartyId, toPartyId, payloads: Array<string>(6).fill('x') };
      await mutate(ana, 'sendCallSignals', input);
      return errorsOf(mutate(ana, 'sendCallSignals', input));
    },
  },
  {
    limit: 'contactsMax',
    by: 'addContact',
    code: 'FORBIDDEN',
    async exceed({ ana, bob, carol }) {
      await mutate(ana, 'addContact', { userId: bob.id });
      return errorsOf(mutate(ana, 'addContact', { userId: carol.id }));
    },
  },
  {
    limit: 'draftMaxChars',
    by: 'saveDraft',
    code: 'BAD_USER_INPUT',
    exceed: async ({ ana }) =>
      errorsOf(mutate(ana, 'saveDraft', { conversationId: await createGroup(ana, []), text: 'a'.repeat(101) })),
  },
  {
    limit: 'statusesMax',
    by: 'postStatus',
    code: 'FORBIDDEN',
    async exceed({ ana }) {
      await mutate(ana, 'postStatus', { clientStatusId: 'one', text: 'one' });
      return errorsOf(mutate(ana, 'postStatus', { clientStatusId: 'two', text: 'two' }));
    },
  },
  {
    limit: 'statusesMax',
    by: 'markStatusesViewed',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana }) =>
      errorsOf(mutate(ana, 'markStatusesViewed', { statusIds: [1, 2].map(() => encodeGlobalId('Status', newId())) })),
  },
  {
    limit: 'statusMaxChars',
    by: 'postStatus',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana }) => errorsOf(mutate(ana, 'postStatus', { clientStatusId: 'one', text: 'a'.repeat(101) })),
  },
  {
    limit: 'statusListedMax',
    by: 'postStatus',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana, bob, carol }) =>
      errorsOf(
        mutate(ana, 'postStatus', {
          clientStatusId: 'one',
          text: 'one',
          audience: { mode: 'ONLY', userIds: [bob.id, carol.id] },
        }),
      ),
  },
  {
    limit: 'statusVideoMaxMs',
    by: 'postStatus',
    code: 'BAD_USER_INPUT',
    async exceed({ node, ana }) {
      const id = newId();
      await node.deps.database.db.attachment.create({
        data: {
          ...{ id, uploaderId: decodeGlobalId(ana.id, 'id').id, clientUploadId: id, inputHash: new Uint8Array() },
          ...{ kind: 'VIDEO', state: 'READY', filename: 'a.mp4', contentType: 'video/mp4', byteSize: 1, partBytes: 1 },
          ...{ storeKey: id, durationMs: 60_001 },
        },
      });
      const attachmentId = encodeGlobalId('Attachment', id);
      return errorsOf(mutate(ana, 'postStatus', { clientStatusId: 'one', attachmentId }));
    },
  },
  {
    limit: 'draftsMax',
    by: 'saveDraft',
    code: 'FORBIDDEN',
    async exceed({ ana, bob }) {
      const [direct, group] = [await openDirect(ana, bob), await createGroup(ana, [])];
      await mutate(ana, 'saveDraft', { conversationId: direct, text: 'one' });
      return errorsOf(mutate(ana, 'saveDraft', { conversationId: group, text: 'two' }));
    },
  },
  {
    limit: 'groupAddMax',
    by: 'addMembers',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob, carol, dora }) {
      const conversationId = await createGroup(ana, []);
      return errorsOf(mutate(ana, 'addMembers', { conversationId, userIds: [bob.id, carol.id, dora.id] }));
    },
  },
  {
    limit: 'groupMaxMembers',
    by: 'createGroup',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana, bob, carol, dora }) =>
      errorsOf(mutate(ana, 'createGroup', { title: 'A group', memberIds: [bob.id, carol.id, dora.id] })),
  },
  {
    limit: 'groupMaxMembers',
    by: 'addMembers',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob, carol, dora }) {
      const conversationId = await createGroup(ana, [bob, carol]);
      return errorsOf(mutate(ana, 'addMembers', { conversationId, userIds: [dora.id] }));
    },
  },
  {
    limit: 'groupMaxMembers',
    by: 'joinConversation',
    code: 'FORBIDDEN',
    async exceed({ ana, bob, carol, dora }) {
      const conversationId = await createGroup(ana, [bob, carol], { visibility: 'PUBLIC' });
      return errorsOf(mutate(dora, 'joinConversation', { conversationId }));
    },
  },
  {
    limit: 'groupsMax',
    by: 'createGroup',
    code: 'FORBIDDEN',
    async exceed({ ana }) {
      await createGroup(ana, []);
      return errorsOf(mutate(ana, 'createGroup', { title: 'Another group' }));
    },
  },
  {
    limit: 'groupsMax',
    by: 'joinConversation',
    code: 'FORBIDDEN',
    async exceed({ ana, bob }) {
      const conversationId = await createGroup(ana, [], { visibility: 'PUBLIC' });
      await createGroup(bob, []);
      return errorsOf(mutate(bob, 'joinConversation', { conversationId }));
    },
  },
  {
    limit: 'mentionsMax',
    by: 'sendMessage',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob, carol }) {
      const conversationId = await createGroup(ana, [bob, carol]);
      const text = `@${bob.username} @${carol.username}`;
      return errorsOf(mutate(ana, 'sendMessage', { conversationId, text }));
    },
  },
  {
    limit: 'mentionsMax',
    by: 'editMessage',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob, carol }) {
      const { id: messageId } = await send(ana, await createGroup(ana, [bob, carol]), 'hello');
      return errorsOf(mutate(ana, 'editMessage', { messageId, text: `@${bob.username} @${carol.username}` }));
    },
  },
  {
    limit: 'messageEditWindowSeconds',
    by: 'editMessage',
    code: 'FORBIDDEN',
    async exceed({ node, ana }) {
      const { id: messageId } = await send(ana, await createGroup(ana, []), 'hello');
      await edit(ana, messageId, 'hello again');
      const { id } = decodeGlobalId(messageId, 'id');
      const createdAt = new Date(Date.now() - 2 * 3_600_000);
      await node.deps.database.db.message.update({ where: { id }, data: { createdAt } });
      return errorsOf(mutate(ana, 'editMessage', { messageId, text: 'too late' }));
    },
  },
  {
    limit: 'reportCommentMaxChars',
    by: 'reportMessage',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob }) {
      const { id: messageId } = await send(bob, await openDirect(ana, bob), 'hello');
      return errorsOf(mutate(ana, 'reportMessage', { messageId, reason: 'OTHER', comment: 'a'.repeat(101) }));
    },
  },
  {
    limit: 'encryptedContentMaxBytes',
    by: 'reportMessage',
    code: 'BAD_USER_INPUT',
    async exceed({ ana, bob }) {
      const { id: messageId } = await send(bob, await openDirect(ana, bob), 'hello');
      const { id: deviceId } = await registerDevice(bob);
      const disclosure = { generation: 1, epoch: 0, deviceId, content: bytes(65), messageKey: bytes(32) };
      return errorsOf(mutate(ana, 'reportMessage', { messageId, reason: 'OTHER', disclosure }));
    },
  },
  {
    limit: 'messageMaxChars',
    by: 'sendMessage',
    code: 'BAD_USER_INPUT',
    exceed: async ({ ana }) =>
      errorsOf(mutate(ana, 'sendMessage', { conversationId: await createGroup(ana, []), text: 'a'.repeat(101) })),
  },
  {
    limit: 'messageMaxChars',
    by: 'editMessage',
    code: 'BAD_USER_INPUT',
    async exceed({ ana }) {
      const { id: messageId } = await send(ana, await createGroup(ana, []), 'hello');
      return errorsOf(mutate(ana, 'editMessage', { messageId, text: 'a'.repeat(101) }));
    },
  },
  {
    limit: 'operationCostMax',
    by: 'a query',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana }) =>
      errorsOf(
        ana.request(
          '{ publicConversations { nodes { members { nodes { id role } } messages { nodes { id text seq createdAt } } } } }',
        ),
      ),
  },
  {
    limit: 'operationDepthMax',
    by: 'a query',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana }) =>
      errorsOf(
        ana.request(
          '{ viewer { conversations(first: 1) { nodes { messages(first: 1) { nodes { conversation { counterpart { id } } } } } } } }',
        ),
      ),
  },
  ...(['first', 'last'] as const).map(
    (argument): Case => ({
      limit: 'pageMax',
      by: `messages(${argument})`,
      code: 'BAD_USER_INPUT',
      exceed: async ({ ana }) =>
        errorsOf(
          ana.request(`query ($id: ID!) { conversation(id: $id) { messages(${argument}: 11) { nodes { id } } } }`, {
            id: await createGroup(ana, []),
          }),
        ),
    }),
  ),
  {
    limit: 'pageMax',
    by: 'nodes',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana }) =>
      errorsOf(
        ana.request('query ($ids: [ID!]!) { nodes(ids: $ids) { id } }', { ids: Array<string>(11).fill(ana.id) }),
      ),
  },
  {
    limit: 'pinsMax',
    by: 'pinMessage',
    code: 'FORBIDDEN',
    async exceed({ ana }) {
      const group = await createGroup(ana, []);
      await pin(ana, (await send(ana, group, 'one')).id);
      return errorsOf(mutate(ana, 'pinMessage', { messageId: (await send(ana, group, 'two')).id }));
    },
  },
  {
    limit: 'presenceMaxWatched',
    by: 'presence',
    code: 'BAD_USER_INPUT',
    exceed: ({ node, ana, bob, carol }) =>
      listen(connectInTest(node.url, ana.token), PRESENCE, { userIds: [bob.id, carol.id] }, 'presence').ended,
  },
  {
    limit: 'reactionEmojisMax',
    by: 'addReaction',
    code: 'FORBIDDEN',
    async exceed({ ana, bob }) {
      const { id: messageId } = await send(ana, await createGroup(ana, [bob]), 'hello');
      for (const emoji of ['👍', '🎉']) await react(ana, messageId, emoji);
      return errorsOf(mutate(bob, 'addReaction', { messageId, emoji: '😀' }));
    },
  },
  {
    limit: 'reactionsPerPersonMax',
    by: 'addReaction',
    code: 'FORBIDDEN',
    async exceed({ ana }) {
      const { id: messageId } = await send(ana, await createGroup(ana, []), 'hello');
      for (const emoji of ['👍', '🎉']) await react(ana, messageId, emoji);
      return errorsOf(mutate(ana, 'addReaction', { messageId, emoji: '😀' }));
    },
  },
  {
    limit: 'searchQueryMaxChars',
    by: 'searchMessages',
    code: 'BAD_USER_INPUT',
    exceed: ({ ana }) =>
      errorsOf(
        ana.request('query ($query: String!) { searchMessages(query: $query) { nodes { id } } }', {
          query: 'a'.repeat(10_000),
        }),
      ),
  },
  {
    limit: 'socketStreamsMax',
    by: 'a second subscription',
    code: 'RATE_LIMITED',
    async exceed({ node, ana }) {
      const client = connectInTest(node.url, ana.token);
      const messages = 'subscription { messages { type } }';
      await listen(client, messages).until(({ type }) => type === 'CAUGHT_UP');
      return listen(client, messages).ended;
    },
  },
  {
    limit: 'summaryMessagesMax',
    by: 'summarizeConversation',
    code: 'BAD_USER_INPUT',
    async exceed({ ana }) {
      const conversationId = await createGroup(ana, []);
      const { id } = await send(ana, conversationId, 'the first');
      for (let index = 0; index < 10; index += 1) await reply(ana, conversationId, id, `${index}`);
      return errorsOf(mutate(ana, 'summarizeConversation', { conversationId, fromSeq: 1 }));
    },
  },
];

describe.each(detailModes)('errors of limits that are reached in %s mode', (mode) => {
  let node: RunningNode;
  beforeAll(async () => {
    node = await (await makePlace(mode)).start(settings);
  });

  it.each(cases)('name $limit when $by exceeds it', async ({ limit, code, exceed }) => {
    const [ana, bob, carol, dora] = await registerAll(node.url, 'ana', 'bob', 'carol', 'dora');
    const errors = (await exceed({ node, ana, bob, carol, dora })) as NonNullable<Answer['errors']>;
    expect(errors?.map(({ extensions }) => ({ code: extensions.code, limit: extensions['limit'] }))).toEqual([
      { code, limit },
    ]);
  });

  it('do not name a limit when a value is wrong for another reason', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const query = '{ publicConversations(first: 0) { nodes { id } } }';
    const [error] = (await ana.request(query)).errors ?? [];
    expect(error?.extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'first' });
  });

  it('exist for every limit of serverInfo that a request can exceed', async () => {
    const [ana] = await registerAll(node.url, 'ana');
    const { __type } = await ana.ask('{ __type(name: "Limits") { fields { name } } }');
    const published = __type.fields.map(({ name }: Json) => name);
    const tried = new Set(cases.map(({ limit }) => limit));
    expect([...tried, ...neverExceeded].sort()).toEqual(published.sort());
  });
});
