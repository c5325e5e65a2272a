import type { E2eeError } from './errors.js';
import { bytes, check, flag, int, optional, type Shape, text } from './shape.js';

/**
 * Executes an operation on the server, as `request` of a client of `@parley/client` does. Errors of the server are thrown as
 * objects with its `code` and `reason`, and with the path of the `field`.
 */
export type Execute = (document: string, variables: Record<string, unknown>) => Promise<unknown>;

/** The properties of a failure that the client distinguishes. */
export type Failure = Partial<Pick<E2eeError, 'message'>> & { code?: string; reason?: string; field?: string };

/** A device as the server describes it. Bytes are in base64url. */
export interface ApiDevice {
  id: string;
  signatureKey: string;
  certificate: string;
  user: { id: string };
}

/** A user with the public keys of the account, which are null without encryption. */
interface ApiAccount {
  id: string;
  identityKey: string | null;
  historyKey: string | null;
  historyKeySignature: string | null;
  /** The signed list of the devices. */
  deviceList?: string | null;
}

export interface ApiGroup {
  generation: number;
  epoch: number;
  groupInfo?: string | null;
  welcome?: string | null;
  devices?: Pick<ApiDevice, 'id' | 'signatureKey' | 'user'>[];
  devicesToRemove?: ApiDevice[];
  devicesToAdd?: ApiDevice[];
  commits: {
    edges: { cursor: string; node: { generation: number; epoch: number; commit?: string } }[];
    pageInfo: { hasNextPage: boolean };
  };
}

/** A conversation and its group; `kind` and `counterpart` only if they were asked for. */
export interface ApiConversation {
  encryption: string;
  encryptionGroup: ApiGroup | null;
  kind?: string;
  /** The other user of a direct conversation. */
  counterpart?: { id: string } | null;
}

const DEVICE = 'id signatureKey certificate user { id }';

const documents = {
  E2eeAccount: `query E2eeAccount {
    viewer { id user { id deviceList } devices { id signatureKey certificate } accountKeys { identityKey historyKey vault } }
  }`,
  E2eeGroup: `query E2eeGroup($id: ID!, $deviceId: ID!, $after: String, $whole: Boolean!, $duties: Boolean!, $content: Boolean!, $people: Boolean!) {
    node(id: $id) { ... on Conversation { id encryption kind @include(if: $people) counterpart @include(if: $people) { id } encryptionGroup {
      generation epoch
      groupInfo @include(if: $whole)
      welcome(deviceId: $deviceId) @include(if: $whole)
      devices @include(if: $whole) { id signatureKey user { id } }
      devicesToRemove @include(if: $duties) { ${DEVICE} }
      devicesToAdd @include(if: $duties) { ${DEVICE} }
      commits(after: $after, first: 50) {
        edges { cursor node { generation epoch commit @include(if: $content) } } pageInfo { hasNextPage }
      }
    } } }
  }`,
  E2eeSealedKeys: `query E2eeSealedKeys($id: ID!, $after: String) {
    node(id: $id) { ... on Conversation { id encryptionGroup {
      sealedKeys(after: $after, first: 50) { edges { cursor node { generation epoch sealed } } pageInfo { hasNextPage } }
    } } }
  }`,
  E2eeMembers: `query E2eeMembers($id: ID!, $after: String) {
    node(id: $id) { ... on Conversation { id members(after: $after, first: 50) {
      edges { cursor node { user { id identityKey historyKey historyKeySignature deviceList } } } pageInfo { hasNextPage }
    } } }
  }`,
  E2eeRegisterDevice: `mutation E2eeRegisterDevice($input: RegisterDeviceInput!) {
    registerDevice(input: $input) { device { id } }
  }`,
  E2eeSetAccountKeys: `mutation E2eeSetAccountKeys($input: SetAccountKeysInput!) {
    setAccountKeys(input: $input) { viewer { id } }
  }`,
  E2eeSetDeviceList: `mutation E2eeSetDeviceList($input: SetDeviceListInput!) {
    setDeviceList(input: $input) { viewer { id } }
  }`,
  E2eeRemoveDevice: `mutation E2eeRemoveDevice($input: RemoveDeviceInput!) {
    removeDevice(input: $input) { viewer { id } }
  }`,
  E2eePublishKeyPackages: `mutation E2eePublishKeyPackages($input: PublishKeyPackagesInput!) {
    publishKeyPackages(input: $input) { remaining }
  }`,
  E2eeClaimKeyPackages: `mutation E2eeClaimKeyPackages($input: ClaimKeyPackagesInput!) {
    claimKeyPackages(input: $input) { keyPackages { keyPackage device { ${DEVICE} } } }
  }`,
  E2eeEnable: `mutation E2eeEnable($input: EnableEncryptionInput!) {
    enableEncryption(input: $input) { conversation { id } }
  }`,
  E2eeCommitGroup: `mutation E2eeCommitGroup($input: CommitGroupInput!) {
    commitGroup(input: $input) { commit { id } }
  }`,
  E2eeSendMessage: `mutation E2eeSendMessage($input: SendMessageInput!) {
    sendMessage(input: $input) { message { id seq } }
  }`,
};

/** The operations of this package, to be added to the persisted documents of a server, by their names. */
export const e2eeDocuments: Readonly<Record<keyof typeof documents, string>> = Object.fromEntries(
  Object.entries(documents).map(([name, text]) => [name, text.replace(/\s+/g, ' ')]),
) as Record<keyof typeof documents, string>;

const device = { id: text, signatureKey: bytes, certificate: bytes };
const ownedDevice = { ...device, user: { id: text } };

const listOf = (node: Shape): Shape => ({ edges: [{ cursor: text, node }], pageInfo: { hasNextPage: flag } });

/** The form of an answer to `E2eeGroup` with these variables. */
const groupShape = ({
  whole,
  duties,
  content,
  people,
}: Record<'whole' | 'duties' | 'content' | 'people', boolean>): Shape => ({
  node: optional({
    encryption: text,
    // The first answer counts.
    ...(people && { kind: text, counterpart: optional({ id: text }) }),
    encryptionGroup: optional({
      generation: int,
      epoch: int,
      ...(whole && {
        groupInfo: optional(bytes),
        welcome: optional(bytes),
        devices: [{ id: text, signatureKey: bytes, user: { id: text } }],
      }),
      ...(duties && { devicesToRemove: [ownedDevice], devicesToAdd: [ownedDevice] }),
      commits: listOf({ generation: int, epoch: int, ...(content && { commit: bytes }) }),
    }),
  }),
});

/** The form of a message that can be opened. */
export const messageShape: Shape = {
  id: text,
  clientMessageId: optional(text),
  sender: optional({ id: text }),
  replyTo: optional({ id: text }),
  editedAt: optional(text),
  encrypted: { generation: int, epoch: int, content: bytes, device: ownedDevice },
};

/** Calls the server. Its methods throw what `execute` throws, or an E2eeError `INVALID_ANSWER`. */
export function createApi(execute: Execute) {
  const call = async <Data>(name: keyof typeof documents, variables: Record<string, unknown>, shape?: Shape) => {
    const data = await execute(e2eeDocuments[name], variables);
    if (shape) check(data, shape, 'INVALID_ANSWER', 'The server has sent an answer of another form.');
    return data as Data;
  };
  return {
    account: async () =>
      (
        await call<{
          viewer: {
            user: { id: string; deviceList?: string | null };
            devices: Omit<ApiDevice, 'user'>[];
            accountKeys?: { identityKey: string; historyKey: string; vault: string } | null;
          };
        }>(
          'E2eeAccount',
          {},
          {
            viewer: {
              user: { id: text, deviceList: optional(bytes) },
              devices: [device],
              accountKeys: optional({ identityKey: bytes, historyKey: bytes, vault: bytes }),
            },
          },
        )
      ).viewer,

    /** @returns undefined for a conversation that the viewer cannot see. */
    async group(
      id: string,
      given: {
        deviceId: string;
        after?: string | undefined;
        whole?: boolean;
        duties?: boolean;
        content?: boolean;
        people?: boolean;
      },
    ) {
      const { whole = false, duties = false, content = true, people = false } = given;
      const variables = { ...given, id, whole, duties, content, people };
      const { node } = await call<{ node: ApiConversation | null }>('E2eeGroup', variables, groupShape(variables));
      return node ?? undefined;
    },

    async sealedKeys(id: string, after?: string) {
      const { node } = await call<{
        node: {
          encryptionGroup: {
            sealedKeys: {
              edges: { cursor: string; node: { generation: number; epoch: number; sealed: string } }[];
              pageInfo: { hasNextPage: boolean };
            };
          } | null;
        } | null;
      }>(
        'E2eeSealedKeys',
        { id, after },
        {
          node: optional({
            encryptionGroup: optional({ sealedKeys: listOf({ generation: int, epoch: int, sealed: bytes }) }),
          }),
        },
      );
      return node?.encryptionGroup?.sealedKeys;
    },

    /** The keys of the accounts of the members, as far as they have any. */
    async accounts(id: string): Promise<ApiAccount[]> {
      const accounts: ApiAccount[] = [];
      const isNew = createProgress();
      for (let after: string | undefined; ; ) {
        const { node } = await call<{
          node: {
            members: { edges: { cursor: string; node: { user: ApiAccount } }[]; pageInfo: { hasNextPage: boolean } };
          } | null;
        }>(
          'E2eeMembers',
          { id, after },
          {
            node: optional({
              members: listOf({
                user: {
                  id: text,
                  identityKey: optional(bytes),
                  historyKey: optional(bytes),
                  historyKeySignature: optional(bytes),
                  deviceList: optional(bytes),
                },
              }),
            }),
          },
        );
        const { edges = [], pageInfo } = node?.members ?? {};
        accounts.push(...edges.map((edge) => edge.node.user));
        after = edges.at(-1)?.cursor;
        if (!pageInfo?.hasNextPage || !isNew(after)) return accounts;
      }
    },

    registerDevice: async (input: { name?: string | undefined; signatureKey: string; certificate: string }) =>
      (
        await call<{ registerDevice: { device: { id: string } } }>(
          'E2eeRegisterDevice',
          { input },
          { registerDevice: { device: { id: text } } },
        )
      ).registerDevice.device.id,

    setAccountKeys: (input: {
      identityKey: string;
      historyKey: string;
      signature: string;
      vault: string;
      replaces: string | undefined;
    }) => call('E2eeSetAccountKeys', { input }),

    setDeviceList: (input: { version: number; deviceList: string }) => call('E2eeSetDeviceList', { input }),

    removeDevice: (deviceId: string) => call('E2eeRemoveDevice', { input: { deviceId } }),

    publishKeyPackages: async (input: { deviceId: string; keyPackages: string[]; lastResort?: string }) =>
      (
        await call<{ publishKeyPackages: { remaining: number } }>(
          'E2eePublishKeyPackages',
          { input },
          { publishKeyPackages: { remaining: int } },
        )
      ).publishKeyPackages.remaining,

    claimKeyPackages: async (input: { conversationId: string; deviceIds: string[] }) =>
      (
        await call<{ claimKeyPackages: { keyPackages: { keyPackage: string; device: ApiDevice }[] } }>(
          'E2eeClaimKeyPackages',
          { input },
          { claimKeyPackages: { keyPackages: [{ keyPackage: bytes, device: ownedDevice }] } },
        )
      ).claimKeyPackages.keyPackages,

    enable: (conversationId: string) => call('E2eeEnable', { input: { conversationId } }),

    commitGroup: (input: CommitGroupInput) => call('E2eeCommitGroup', { input }),

    sendMessage: async (input: Record<string, unknown>) =>
      (
        await call<{ sendMessage: { message: { id: string; seq: number } } }>(
          'E2eeSendMessage',
          { input },
          { sendMessage: { message: { id: text, seq: int } } },
        )
      ).sendMessage.message,
  };
}

export type Api = ReturnType<typeof createApi>;

/** The input of the mutation `commitGroup`. It is stored until it is answered, so that the same bytes are repeated. */
export interface CommitGroupInput {
  conversationId: string;
  deviceId: string;
  generation: number;
  epoch: number;
  commit: string;
  groupInfo: string;
  welcomes: { deviceId: string; welcome: string }[];
  sealedKeys: { userId: string; epoch: number; sealed: string }[];
  addedDeviceIds: string[];
  removedDeviceIds: string[];
}

/** Whether a position in a list was not returned before: a server could return the same page for ever. */
export function createProgress(): (cursor: string | undefined) => boolean {
  const seen = new Set<string | undefined>([undefined]);
  return (cursor) => {
    const { size } = seen;
    return seen.add(cursor).size > size;
  };
}

const failureOf = (error: unknown): Failure => (error ?? {}) as Failure;

/** Whether the server has answered that it did not do something; otherwise it is unknown. */
export function isRejection(error: unknown): boolean {
  const { code = 'NETWORK' } = failureOf(error);
  return !/^(NETWORK|UNAVAILABLE|INTERNAL_SERVER_ERROR|RATE_LIMITED|UNAUTHENTICATED|CLOSED|INVALID_ANSWER)$/.test(code);
}

/** The cause of a rejection. */
export const reasonOf = (error: unknown): string | undefined => failureOf(error).reason;

export const codeOf = (error: unknown): string | undefined => failureOf(error).code;

/** Whether a message has to be encrypted again, because the group has changed. */
export const isStale = (error: unknown): boolean =>
  ['STALE_EPOCH', 'REKEY', 'DEVICE_NOT_IN_GROUP'].includes(reasonOf(error) ?? '');
