/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
import type { DocumentTypeDecoration } from '@graphql-typed-document-node/core';
/** The input of the mutation `addMembers`. */
export type AddMembersInput = {
  /** The group to add members to. */
  conversationId: string;
  /** The users to add, at most `serverInfo.limits.groupAddMax`. */
  userIds: Array<string>;
};

/** The processing state of an attachment. Treat an unknown value like PROCESSING. */
export type AttachmentState =
  /** The file is being checked and converted. A message can be sent with it. */
  | 'PROCESSING'
  /** The file can be opened. */
  | 'READY'
  /** The file is not what it claims to be, unsafe or unreadable. It cannot be opened. */
  | 'REJECTED'
  /** Parts of the file are missing, or `completeUpload` has not been called. */
  | 'UPLOADING'
  | '%future added value';

/** How a user wants to appear to others while connected. */
export type Availability =
  /** The user is away from their devices. */
  | 'AWAY'
  /** The user does not want to be disturbed. */
  | 'BUSY'
  /** The user appears as OFFLINE to everyone else, and their typing is not shown. */
  | 'INVISIBLE'
  /** The user is available. */
  | 'ONLINE'
  | '%future added value';

/** The input of the mutation `changePassword`. */
export type ChangePasswordInput = {
  /** The viewer's current password. */
  currentPassword: string;
  /** The new password: 8 to 72 bytes in UTF-8. */
  newPassword: string;
};

/** The kind of a conversation. */
export type ConversationKind =
  /** A conversation between two users. */
  | 'DIRECT'
  /** A conversation with a title, roles and any number of members up to `serverInfo.limits.groupMaxMembers`. */
  | 'GROUP'
  | '%future added value';

/** Who can find and join a conversation. */
export type ConversationVisibility =
  /** Only members can see the conversation. */
  | 'PRIVATE'
  /** Every user can find and join the conversation. */
  | 'PUBLIC'
  | '%future added value';

/** Whether new members can read messages sent before they joined. */
export type HistoryVisibility =
  /** New members can read all messages. */
  | 'ALL'
  /** New members can only read messages sent after they joined. */
  | 'SINCE_JOINED'
  | '%future added value';

/** The input of the mutation `joinConversation`. */
export type JoinConversationInput = {
  /** The public group to join. */
  conversationId: string;
};

/** The input of the mutation `leaveConversation`. */
export type LeaveConversationInput = {
  /** The group to leave. */
  conversationId: string;
};

/** The input of the mutation `logout`. */
export type LogoutInput = {
  /** The session to end, by default the session of this request. */
  sessionId?: string | null | undefined;
};

/** The role of a member in a group. */
export type MemberRole =
  /** Admins can add members, remove members who are neither owner nor admin, change the title, description and picture, and delete or pin messages. */
  | 'ADMIN'
  /** Members can read and send messages. */
  | 'MEMBER'
  /** Owners can change all settings and roles of the group. A group always has at least one owner. Both members of a direct conversation have the role MEMBER. */
  | 'OWNER'
  | '%future added value';

/** What a client reveals of one encrypted message, as it received it. It opens this version of the message and nothing else. */
export type MessageDisclosureInput = {
  /** The encrypted content. */
  content: string;
  /** The device of the sender that encrypted it. */
  deviceId: string;
  /** The epoch in which it was encrypted. */
  epoch: number;
  /** The generation of the group in which it was encrypted. */
  generation: number;
  /** The key of this version of the message, which is derived from the key of the epoch. */
  messageKey: string;
};

/** What changed in a message, as a hint for sounds and badges. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway. */
export type MessageEventType =
  /** All missed events have been delivered. The following events are live. */
  | 'CAUGHT_UP'
  /** Nothing changed. The event only carries a newer cursor to store. */
  | 'CHECKPOINT'
  /** A device changed the group of an encrypted conversation: see `commit`. Process it before the messages that follow. */
  | 'COMMITTED'
  /** The message was deleted and is now a tombstone. */
  | 'DELETED'
  /** The text was edited. */
  | 'EDITED'
  /** The message was removed from the database without a tombstone. Remove it from the client's data. */
  | 'ERASED'
  /** An attachment became READY or REJECTED. */
  | 'MEDIA'
  /** The message was pinned. */
  | 'PINNED'
  /** A reaction was added or removed. */
  | 'REACTED'
  /** The message was sent. */
  | 'SENT'
  /** The message was unpinned. */
  | 'UNPINNED'
  | '%future added value';

/** The kind of a message. */
export type MessageKind =
  /** The service wrote the message to report the event in `systemEvent`. It cannot be edited or deleted. */
  | 'SYSTEM'
  /** A person or a bot wrote the message. */
  | 'USER'
  | '%future added value';

/** What a user is notified of. */
export type NotificationLevel =
  /** Every message. */
  | 'ALL'
  /** Mentions, replies to the user's messages and reactions to them. */
  | 'MENTIONS'
  /** Nothing. */
  | 'NONE'
  | '%future added value';

/** The outcome of pushes about a message. Treat an unknown value as an outcome that a newer server introduced. */
export type NotificationOutcome =
  /** No push was sent: see `reason`. */
  | 'NOT_SENT'
  /** A push service or the gateway has accepted a push. */
  | 'SENT'
  /** The outcome is not decided yet, or a push is waiting. */
  | 'WAITING'
  | '%future added value';

/** Why a user was not notified of a message. Treat an unknown value as a reason that a newer server introduced. */
export type NotificationReason =
  /** The message was deleted. */
  | 'DELETED'
  /** The push service no longer accepts pushes for the device, which was therefore removed. */
  | 'DEVICE_GONE'
  /** The device was signed out or removed while the push was waiting. */
  | 'DEVICE_REMOVED'
  /** The push service did not accept the push in time. */
  | 'EXPIRED'
  /** The user had left the conversation. */
  | 'LEFT'
  /** The notification level was NONE, or MENTIONS and the message did not concern the user. */
  | 'LEVEL'
  /** The user had muted the conversation. */
  | 'MUTED'
  /** The user was not a member of the conversation when the message was processed, or cannot see it. */
  | 'NOT_A_MEMBER'
  /** Nothing is recorded about the message, or the records have been deleted. */
  | 'NOT_RECORDED'
  /** The user had no device that receives pushes. */
  | 'NO_DEVICE'
  /** The server no longer sends pushes of this kind. */
  | 'OFF'
  /** The user wrote the message. */
  | 'OWN_MESSAGE'
  /** The user did not want to be disturbed, or it was within their quiet hours. */
  | 'QUIET'
  /** The user had read the message, on any device. */
  | 'READ'
  /** The push service rejected the push. */
  | 'REJECTED'
  /** The user and the sender could not reach each other. The cause is not disclosed. */
  | 'SENDER_UNREACHABLE'
  /** The session of the device had expired, or the user was suspended. */
  | 'SIGNED_OUT'
  /** The service wrote the message. */
  | 'SYSTEM_MESSAGE'
  /** The push service rejected the push as too large. */
  | 'TOO_LARGE'
  | '%future added value';

/** How a user appears to others. */
export type PresenceStatus =
  /** The user is connected and away from their devices. */
  | 'AWAY'
  /** The user is connected and does not want to be disturbed. */
  | 'BUSY'
  /** The user is not connected, or does not want to appear as connected. */
  | 'OFFLINE'
  /** The user is connected and available. */
  | 'ONLINE'
  | '%future added value';

/** A device at the push gateway of the server. */
export type PushGatewayInput = {
  /** The id of the app in the configuration of the gateway: at most 64 characters. */
  appId: string;
  /** The device's token: at most 512 characters. */
  pushKey: string;
};

/** How pushes reach a device. Treat an unknown value as a way that a newer server introduced. */
export type PushKind =
  /** By a push gateway that supports Matrix's Push Gateway API, such as Sygnal, which uses APNs and FCM. */
  | 'GATEWAY'
  /** By Web Push: browsers, and apps with UnifiedPush. */
  | 'WEB'
  | '%future added value';

/** Why a push has waited. Treat an unknown value as a reason that a newer server introduced. */
export type PushWait =
  /** The user was looking at one of their devices. */
  | 'ATTENTION'
  /** An earlier push to the device had failed, or its push service had asked to wait. */
  | 'DEVICE_PAUSED'
  /** The push service or the gateway did not accept the push. */
  | 'FAILED_ATTEMPT'
  /** The push service or the gateway had failed several times. */
  | 'SERVICE_PAUSED'
  | '%future added value';

/** The input of the mutation `registerPush`. */
export type RegisterPushInput = {
  /** For a push gateway: `serverInfo.features` contains `pushGateway` if the server has one. */
  gateway?: PushGatewayInput | null | undefined;
  /** For Web Push: see `serverInfo.webPushPublicKey`. */
  web?: WebPushInput | null | undefined;
};

/** The input of the mutation `removeMember`. */
export type RemoveMemberInput = {
  /** The group. */
  conversationId: string;
  /** The member to remove. */
  userId: string;
};

/** The input of the mutation `removePush`. */
export type RemovePushInput = {
  /** A subscription of the viewer. */
  pushSubscriptionId: string;
};

/** The input of the mutation `renameDevice`. */
export type RenameDeviceInput = {
  /** A device of the viewer. */
  deviceId: string;
  /** The name: up to 80 characters. An explicit null removes it. */
  name?: string | null | undefined;
};

/** The input of the mutation `reportMessage`. */
export type ReportMessageInput = {
  /** A comment for the moderators: at most `serverInfo.limits.reportCommentMaxChars` characters. */
  comment?: string | null | undefined;
  /** For an encrypted message, its key with which the server verifies the report. If it does not prove that a device of the sender has encrypted the message, the error is BAD_USER_INPUT with the field `input.disclosure`. It can be a version from before an edit or the deletion. */
  disclosure?: MessageDisclosureInput | null | undefined;
  /** The message. */
  messageId: string;
  /** Why it is reported. */
  reason: ReportReason;
};

/** What proves that the sender wrote the message in a report. Treat an unknown value as a proof that a newer server introduced. */
export type ReportProof =
  /** The message is encrypted, and was edited or deleted before the report. A device of the sender has signed this version; the server can no longer verify that it was delivered. */
  | 'SIGNED'
  /** The message is not encrypted: the server copied it when it was reported. */
  | 'STORED'
  /** The message is encrypted. The reporter revealed its key, and the server verified that a device of the sender has signed it. The server stored exactly this content when it was reported. */
  | 'VERIFIED'
  | '%future added value';

/** Why something is reported. Treat an unknown value like OTHER. */
export type ReportReason =
  /** It insults, threatens or bullies a person. */
  | 'HARASSMENT'
  /** It attacks people for their origin, religion, gender or another property that they share. */
  | 'HATE'
  /** It is against the law. */
  | 'ILLEGAL'
  /** Another reason, which the comment explains. */
  | 'OTHER'
  /** A person may harm themselves. */
  | 'SELF_HARM'
  /** It is unwanted sexual content. */
  | 'SEXUAL_CONTENT'
  /** It is unwanted advertising, or sent to many users. */
  | 'SPAM'
  /** It threatens, shows or glorifies violence. */
  | 'VIOLENCE'
  | '%future added value';

/** The decision about a report. Treat an unknown value as a decision that a newer server introduced. */
export type ReportResolution =
  /** Something was done, such as suspending the user. */
  | 'ACTION_TAKEN'
  /** Nothing has to be done. */
  | 'DISMISSED'
  | '%future added value';

/** Whether a report waits for a decision. */
export type ReportState =
  /** No moderator has decided yet. */
  | 'OPEN'
  /** A moderator has decided. */
  | 'RESOLVED'
  | '%future added value';

/** The input of the mutation `resolveReport`. */
export type ResolveReportInput = {
  /** The report. */
  reportId: string;
  /** The decision. */
  resolution: ReportResolution;
};

/** The role of a user in the whole service. */
export type ServiceRole =
  /** The user can also suspend moderators, assign service roles and read the audit log. */
  | 'ADMIN'
  /** The user can suspend other users, list suspended users, and read and resolve reports. */
  | 'MODERATOR'
  /** The user has no additional permissions. */
  | 'USER'
  | '%future added value';

/** The input of the mutation `setAttention`. */
export type SetAttentionInput = {
  /** Whether the viewer is looking at this device. */
  active: boolean;
};

/** The input of the mutation `setAvailability`. */
export type SetAvailabilityInput = {
  /** How the viewer wants to appear to others. */
  availability: Availability;
};

/** The input of the mutation `setMemberRole`. */
export type SetMemberRoleInput = {
  /** The group. */
  conversationId: string;
  /** The new role. */
  role: MemberRole;
  /** The member whose role changes. */
  userId: string;
};

/** The kind of a point, as far as the summarizer can determine it. Treat an unknown value as POINT. */
export type SummaryHighlightKind =
  /** An answer to a question. */
  | 'ANSWER'
  /** A decision. */
  | 'DECISION'
  /** A piece of news. */
  | 'NEWS'
  /** Any other point. */
  | 'POINT'
  /** A question that has not been answered. */
  | 'QUESTION'
  /** A task that someone takes on or is asked to do. */
  | 'TASK'
  | '%future added value';

/** The input of the mutation `suspendUser`. */
export type SuspendUserInput = {
  /** The user to suspend. */
  userId: string;
};

/** The input of the mutation `unsuspendUser`. */
export type UnsuspendUserInput = {
  /** The suspended user. */
  userId: string;
};

/** The input of the mutation `updateGroup`. */
export type UpdateGroupInput = {
  /** The group to change. */
  conversationId: string;
  /** The description: up to 1000 characters. */
  description?: string | null | undefined;
  /** Whether members who join from now on can read earlier messages. Existing members keep their access. */
  historyVisibility?: HistoryVisibility | null | undefined;
  /** An upload of the viewer of kind IMAGE that becomes the picture, in place of `imageUrl`, like `UpdateProfileInput.avatarAttachmentId`. */
  imageAttachmentId?: string | null | undefined;
  /** An http or https URL of the picture, up to 2000 characters. Null also removes an uploaded picture. */
  imageUrl?: string | null | undefined;
  /** The title: 1 to 100 characters. */
  title?: string | null | undefined;
  /** Who can find and join the group. */
  visibility?: ConversationVisibility | null | undefined;
};

/** The input of the mutation `updateProfile`. */
export type UpdateProfileInput = {
  /** An upload of the viewer of kind IMAGE that becomes the user's picture, in place of `avatarUrl`. While it is PROCESSING, the previous picture stays. The upload cannot be used elsewhere, and is deleted when the picture is replaced. Null removes the picture. */
  avatarAttachmentId?: string | null | undefined;
  /** An http or https URL of the user's picture, up to 2000 characters. Null also removes an uploaded picture. */
  avatarUrl?: string | null | undefined;
  /** A text about the user: up to 1000 characters. */
  bio?: string | null | undefined;
  /** The name to show to others: 1 to 80 characters. Null resets it to the username. */
  displayName?: string | null | undefined;
};

/** The kind of a user. */
export type UserKind =
  /** A program. */
  | 'BOT'
  /** A person. */
  | 'PERSON'
  | '%future added value';

/** A browser's `PushSubscription`. */
export type WebPushInput = {
  /** The key `auth` of the subscription, in base64url. */
  auth: string;
  /** The `endpoint` of the subscription: at most 2,000 characters. */
  endpoint: string;
  /** The key `p256dh` of the subscription, in base64url. */
  p256dh: string;
};

export type PersonFieldsFragment = { id: string, username: string, displayName: string, avatarUrl: string | null };

export type SearchPeopleQueryVariables = Exact<{
  search: string;
}>;


export type SearchPeopleQuery = { users: { nodes: Array<{ id: string, username: string, displayName: string, avatarUrl: string | null }> } | null };

export type LatestMessagesQueryVariables = Exact<{
  id: string;
}>;


export type LatestMessagesQuery = { conversation: { messages: { nodes: Array<{ id: string, seq: number, text: string | null }> } | null } | null };

export type FirstMessageQueryVariables = Exact<{
  id: string;
}>;


export type FirstMessageQuery = { conversation: { messages: { nodes: Array<{ id: string, seq: number }> } | null } | null };

export type MessageDetailsQueryVariables = Exact<{
  id: string;
}>;


export type MessageDetailsQuery = { node:
    | { edits: { nodes: Array<{ at: string, text: string }> } | null, readBy: { edges: Array<{ at: string, node: { id: string, username: string, displayName: string, avatarUrl: string | null } }> } | null, deliveredTo: { edges: Array<{ at: string, node: { id: string, username: string, displayName: string, avatarUrl: string | null } }> } | null }
    | Record<PropertyKey, never>
   | null };

export type MessageNotifiedQueryVariables = Exact<{
  id: string;
}>;


export type MessageNotifiedQuery = { notificationTrace: { outcome: NotificationOutcome, reason: NotificationReason | null, level: NotificationLevel, mutedUntil: string | null, isMention: boolean, pushes: Array<{ outcome: NotificationOutcome, reason: NotificationReason | null, endedAt: string | null, dueAt: string | null, waits: Array<PushWait>, pushSubscription: { id: string, session: { deviceName: string | null } | null } | null }> } | null };

export type SearchMessagesQueryVariables = Exact<{
  query: string;
  conversationId?: string | null | undefined;
  after?: string | null | undefined;
}>;


export type SearchMessagesQuery = { searchMessages: { edges: Array<{ plainSnippet: { text: string, matches: Array<{ start: number, end: number }> }, node: { id: string, seq: number, createdAt: string, sender: { id: string, username: string, displayName: string, avatarUrl: string | null } | null, conversation: { id: string, title: string | null, counterpart: { id: string, username: string, displayName: string, avatarUrl: string | null } | null } } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null };

export type SummaryFieldsFragment = { id: string, createdAt: string, fromSeq: number, toSeq: number, messageCount: number, model: string, stale: boolean, highlights: Array<{ kind: SummaryHighlightKind, text: string, topic: number, messages: Array<{ id: string, seq: number, createdAt: string, sender: { id: string, displayName: string } | null }> }> };

export type SummariesQueryVariables = Exact<{
  id: string;
}>;


export type SummariesQuery = { conversation: { summaries: { nodes: Array<{ id: string, createdAt: string, fromSeq: number, toSeq: number, messageCount: number, model: string, stale: boolean, highlights: Array<{ kind: SummaryHighlightKind, text: string, topic: number, messages: Array<{ id: string, seq: number, createdAt: string, sender: { id: string, displayName: string } | null }> }> }> } | null } | null };

export type OneSummaryQueryVariables = Exact<{
  id: string;
}>;


export type OneSummaryQuery = { node:
    | { id: string, createdAt: string, fromSeq: number, toSeq: number, messageCount: number, model: string, stale: boolean, highlights: Array<{ kind: SummaryHighlightKind, text: string, topic: number, messages: Array<{ id: string, seq: number, createdAt: string, sender: { id: string, displayName: string } | null }> }> }
    | Record<PropertyKey, never>
   | null };

export type SummaryProgressSubscriptionVariables = Exact<{
  conversationId: string;
  fromSeq?: number | null | undefined;
  toSeq?: number | null | undefined;
}>;


export type SummaryProgressSubscription = { summaryProgress: { progress: number, summary: { id: string, createdAt: string, fromSeq: number, toSeq: number, messageCount: number, model: string, stale: boolean, highlights: Array<{ kind: SummaryHighlightKind, text: string, topic: number, messages: Array<{ id: string, seq: number, createdAt: string, sender: { id: string, displayName: string } | null }> }> } | null } };

export type MessageChangesSubscriptionVariables = Exact<{
  conversationId: string;
}>;


export type MessageChangesSubscription = { messages: { type: MessageEventType } };

export type RoomFieldsFragment = { id: string, title: string | null, description: string | null, imageUrl: string | null, memberCount: number, viewerCanJoin: boolean };

export type MembersWithDevicesQueryVariables = Exact<{
  id: string;
}>;


export type MembersWithDevicesQuery = { conversation: { members: { nodes: Array<{ user: { id: string, displayName: string, devices: Array<{ id: string }> | null } }> } | null } | null };

export type PublicRoomsQueryVariables = Exact<{
  search?: string | null | undefined;
  after?: string | null | undefined;
}>;


export type PublicRoomsQuery = { publicConversations: { nodes: Array<{ id: string, title: string | null, description: string | null, imageUrl: string | null, memberCount: number, viewerCanJoin: boolean }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null };

export type LeaveMutationVariables = Exact<{
  input: LeaveConversationInput;
}>;


export type LeaveMutation = { leaveConversation: { conversationId: string } | null };

export type UpdateGroupMutationVariables = Exact<{
  input: UpdateGroupInput;
}>;


export type UpdateGroupMutation = { updateGroup: { conversation: { id: string } } | null };

export type AddMembersMutationVariables = Exact<{
  input: AddMembersInput;
}>;


export type AddMembersMutation = { addMembers: { skippedUserIds: Array<string> } | null };

export type RemoveMemberMutationVariables = Exact<{
  input: RemoveMemberInput;
}>;


export type RemoveMemberMutation = { removeMember: { userId: string } | null };

export type SetMemberRoleMutationVariables = Exact<{
  input: SetMemberRoleInput;
}>;


export type SetMemberRoleMutation = { setMemberRole: { membership: { id: string, role: MemberRole } } | null };

export type MembersQueryVariables = Exact<{
  id: string;
  search?: string | null | undefined;
  after?: string | null | undefined;
}>;


export type MembersQuery = { conversation: { members: { nodes: Array<{ id: string, role: MemberRole, user: { id: string, username: string, displayName: string, avatarUrl: string | null, presence: { status: PresenceStatus } | null } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type ProfileQueryVariables = Exact<{
  id: string;
}>;


export type ProfileQuery = { user: { bio: string | null, kind: UserKind, deletedAt: string | null, viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, presence: { status: PresenceStatus, lastSeenAt: string | null } | null } | null };

export type SessionsQueryVariables = Exact<{ [key: string]: never; }>;


export type SessionsQuery = { viewer: { sessions: Array<{ id: string, deviceName: string | null, createdAt: string, lastUsedAt: string, current: boolean }> } | null };

export type EndSessionMutationVariables = Exact<{
  input?: LogoutInput | null | undefined;
}>;


export type EndSessionMutation = { logout: { sessionId: string } | null };

export type PushStateQueryVariables = Exact<{ [key: string]: never; }>;


export type PushStateQuery = { serverInfo: { webPushPublicKey: string | null }, viewer: { sessions: Array<{ id: string, current: boolean }>, pushSubscriptions: Array<{ id: string, kind: PushKind, createdAt: string, session: { id: string, deviceName: string | null, current: boolean } | null }> } | null };

export type PushFieldsFragment = { id: string, kind: PushKind, createdAt: string, session: { id: string, deviceName: string | null, current: boolean } | null };

export type RegisterPushMutationVariables = Exact<{
  input: RegisterPushInput;
}>;


export type RegisterPushMutation = { registerPush: { pushSubscription: { id: string, kind: PushKind, createdAt: string, session: { id: string, deviceName: string | null, current: boolean } | null } } | null };

export type RemovePushMutationVariables = Exact<{
  input: RemovePushInput;
}>;


export type RemovePushMutation = { removePush: { viewer: { id: string } } | null };

export type SetAttentionMutationVariables = Exact<{
  input: SetAttentionInput;
}>;


export type SetAttentionMutation = { setAttention: { viewer: { id: string } } | null };

export type SetAvailabilityMutationVariables = Exact<{
  input: SetAvailabilityInput;
}>;


export type SetAvailabilityMutation = { setAvailability: { viewer: { id: string } } | null };

export type UpdateProfileMutationVariables = Exact<{
  input: UpdateProfileInput;
}>;


export type UpdateProfileMutation = { updateProfile: { viewer: { id: string } } | null };

export type ChangePasswordMutationVariables = Exact<{
  input: ChangePasswordInput;
}>;


export type ChangePasswordMutation = { changePassword: { tokens: { accessToken: string, accessTokenExpiresAt: string, refreshToken: string | null } } | null };

export type UploadStateQueryVariables = Exact<{
  id: string;
}>;


export type UploadStateQuery = { node:
    | { state: AttachmentState }
    | Record<PropertyKey, never>
   | null };

export type StatusLimitsQueryVariables = Exact<{ [key: string]: never; }>;


export type StatusLimitsQuery = { serverInfo: { limits: { statusMaxChars: number, statusVideoMaxMs: number } } };

export type EncryptionAccountQueryVariables = Exact<{ [key: string]: never; }>;


export type EncryptionAccountQuery = { viewer: { accountKeys: { identityKey: string } | null } | null };

export type EncryptionDevicesQueryVariables = Exact<{ [key: string]: never; }>;


export type EncryptionDevicesQuery = { viewer: { user: { devices: Array<{ id: string, name: string | null, signatureKey: string, certificate: string, createdAt: string }> | null } } | null };

export type RenameDeviceMutationVariables = Exact<{
  input: RenameDeviceInput;
}>;


export type RenameDeviceMutation = { renameDevice: { device: { id: string } } | null };

export type PushedMessageQueryVariables = Exact<{
  id: string;
}>;


export type PushedMessageQuery = { viewer: { user: { id: string } } | null, node:
    | { id: string, clientMessageId: string | null, editedAt: string | null, conversation: { id: string, kind: ConversationKind }, sender: { id: string, displayName: string } | null, replyTo: { id: string } | null, encrypted: { generation: number, epoch: number, content: string, device: { id: string, signatureKey: string, certificate: string, user: { id: string } } } | null }
    | Record<PropertyKey, never>
   | null };

export type ModeratorQueryVariables = Exact<{ [key: string]: never; }>;


export type ModeratorQuery = { viewer: { id: string, serviceRole: ServiceRole } | null };

export type ReportableMessageQueryVariables = Exact<{
  id: string;
}>;


export type ReportableMessageQuery = { serverInfo: { limits: { reportCommentMaxChars: number } }, node:
    | { id: string, kind: MessageKind, text: string | null, deletedAt: string | null, editedAt: string | null, viewerReportedAt: string | null, clientMessageId: string | null, conversation: { id: string }, sender: { id: string } | null, replyTo: { id: string } | null, encrypted: { generation: number, epoch: number, content: string, device: { id: string, signatureKey: string, certificate: string, user: { id: string } } } | null }
    | Record<PropertyKey, never>
   | null };

export type ReportMessageMutationVariables = Exact<{
  input: ReportMessageInput;
}>;


export type ReportMessageMutation = { reportMessage: { message: { id: string } } | null };

export type ReportsQueryVariables = Exact<{
  state: ReportState;
  after?: string | null | undefined;
}>;


export type ReportsQuery = { reports: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, reason: ReportReason, comment: string | null, createdAt: string, resolution: ReportResolution | null, resolvedAt: string | null, resolvedBy: { id: string, username: string, displayName: string, avatarUrl: string | null } | null, reporter: { id: string, username: string, displayName: string, avatarUrl: string | null } | null, target: { __typename: 'ReportedMessage', text: string | null, earlierTexts: Array<string>, proof: ReportProof, sentAt: string, editedAt: string | null, deletedAt: string | null, files: Array<{ name: string, contentType: string }>, sender: { suspendedAt: string | null, id: string, username: string, displayName: string, avatarUrl: string | null } | null } }> } | null };

export type SuspendUserMutationVariables = Exact<{
  input: SuspendUserInput;
}>;


export type SuspendUserMutation = { suspendUser: { user: { id: string, suspendedAt: string | null } } | null };

export type UnsuspendUserMutationVariables = Exact<{
  input: UnsuspendUserInput;
}>;


export type UnsuspendUserMutation = { unsuspendUser: { user: { id: string, suspendedAt: string | null } } | null };

export type ResolveReportMutationVariables = Exact<{
  input: ResolveReportInput;
}>;


export type ResolveReportMutation = { resolveReport: { report: { id: string } } | null };

export type EncryptedPageQueryVariables = Exact<{
  id: string;
  before?: string | null | undefined;
}>;


export type EncryptedPageQuery = { conversation: { messages: { nodes: Array<{ id: string, seq: number, kind: MessageKind, createdAt: string, editedAt: string | null, deletedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, conversation: { id: string }, sender: { id: string, username: string, displayName: string, avatarUrl: string | null } | null, replyTo: { id: string, seq: number } | null, mentions: Array<{ id: string }>, reactions: Array<{ count: number }>, attachments: Array<{ id: string, altText: string | null }>, encrypted: { generation: number, epoch: number, content: string, device: { id: string, signatureKey: string, certificate: string, user: { id: string } } } | null }>, pageInfo: { hasPreviousPage: boolean, startCursor: string | null } } | null } | null };

export type JoinMutationVariables = Exact<{
  input: JoinConversationInput;
}>;


export type JoinMutation = { joinConversation: { conversation: { id: string } } | null };

export class TypedDocumentString<TResult, TVariables>
  extends String
  implements DocumentTypeDecoration<TResult, TVariables>
{
  __apiType?: NonNullable<DocumentTypeDecoration<TResult, TVariables>['__apiType']>;
  private value: string;
  public __meta__?: Record<string, any> | undefined;

  constructor(value: string, __meta__?: Record<string, any> | undefined) {
    super(value);
    this.value = value;
    this.__meta__ = __meta__;
  }

  override toString(): string & DocumentTypeDecoration<TResult, TVariables> {
    return this.value;
  }
}
export const PersonFieldsFragmentDoc = new TypedDocumentString(`
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}
    `, {"fragmentName":"PersonFields"}) as unknown as TypedDocumentString<PersonFieldsFragment, unknown>;
export const SummaryFieldsFragmentDoc = new TypedDocumentString(`
    fragment SummaryFields on Summary {
  id
  createdAt
  fromSeq
  toSeq
  messageCount
  model
  stale
  highlights {
    kind
    text
    topic
    messages {
      id
      seq
      createdAt
      sender {
        id
        displayName
      }
    }
  }
}
    `, {"fragmentName":"SummaryFields"}) as unknown as TypedDocumentString<SummaryFieldsFragment, unknown>;
export const RoomFieldsFragmentDoc = new TypedDocumentString(`
    fragment RoomFields on Conversation {
  id
  title
  description
  imageUrl
  memberCount
  viewerCanJoin
}
    `, {"fragmentName":"RoomFields"}) as unknown as TypedDocumentString<RoomFieldsFragment, unknown>;
export const PushFieldsFragmentDoc = new TypedDocumentString(`
    fragment PushFields on PushSubscription {
  id
  kind
  createdAt
  session {
    id
    deviceName
    current
  }
}
    `, {"fragmentName":"PushFields"}) as unknown as TypedDocumentString<PushFieldsFragment, unknown>;
export const SearchPeopleDocument = new TypedDocumentString(`
    query SearchPeople($search: String!) {
  users(search: $search, first: 20) {
    nodes {
      ...PersonFields
    }
  }
}
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}`, {"hash":"sha256:f925a22180e5671e92f2e7faf9a4327c2ba6678f6cdf4d3438f7bf0a4aa1c4a9"}) as unknown as TypedDocumentString<SearchPeopleQuery, SearchPeopleQueryVariables>;
export const LatestMessagesDocument = new TypedDocumentString(`
    query LatestMessages($id: ID!) {
  conversation(id: $id) {
    messages(last: 50) {
      nodes {
        id
        seq
        text
      }
    }
  }
}
    `, {"hash":"sha256:7a0acbe4d8b5ee6ef987f014ecd44037ef3c306f730409f20065911803e627d1"}) as unknown as TypedDocumentString<LatestMessagesQuery, LatestMessagesQueryVariables>;
export const FirstMessageDocument = new TypedDocumentString(`
    query FirstMessage($id: ID!) {
  conversation(id: $id) {
    messages(first: 1) {
      nodes {
        id
        seq
      }
    }
  }
}
    `, {"hash":"sha256:4bdf666976a4a79f7750de10cd9494db8cd871cd5a0448522ac00f2f92cf4887"}) as unknown as TypedDocumentString<FirstMessageQuery, FirstMessageQueryVariables>;
export const MessageDetailsDocument = new TypedDocumentString(`
    query MessageDetails($id: ID!) {
  node(id: $id) {
    ... on Message {
      edits(first: 20) {
        nodes {
          at
          text
        }
      }
      readBy(first: 50) {
        edges {
          at
          node {
            ...PersonFields
          }
        }
      }
      deliveredTo(first: 50) {
        edges {
          at
          node {
            ...PersonFields
          }
        }
      }
    }
  }
}
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}`, {"hash":"sha256:36c1b73001c62090f1f0b6b8ae7e7b8bfcf6c34330b72625b66383c8b508297e"}) as unknown as TypedDocumentString<MessageDetailsQuery, MessageDetailsQueryVariables>;
export const MessageNotifiedDocument = new TypedDocumentString(`
    query MessageNotified($id: ID!) {
  notificationTrace(messageId: $id) {
    outcome
    reason
    level
    mutedUntil
    isMention
    pushes {
      pushSubscription {
        id
        session {
          deviceName
        }
      }
      outcome
      reason
      endedAt
      dueAt
      waits
    }
  }
}
    `, {"hash":"sha256:7783f5968e59de5ab50b6f158d417906c88cfa10cb19c83904460d43e0e1c328"}) as unknown as TypedDocumentString<MessageNotifiedQuery, MessageNotifiedQueryVariables>;
export const SearchMessagesDocument = new TypedDocumentString(`
    query SearchMessages($query: String!, $conversationId: ID, $after: String) {
  searchMessages(
    query: $query
    conversationId: $conversationId
    first: 20
    after: $after
  ) {
    edges {
      plainSnippet {
        text
        matches {
          start
          end
        }
      }
      node {
        id
        seq
        createdAt
        sender {
          ...PersonFields
        }
        conversation {
          id
          title
          counterpart {
            ...PersonFields
          }
        }
      }
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}`, {"hash":"sha256:07d46d3073c9d0da5aa46067e29e43632bcb19000d219bb310aa46af48843492"}) as unknown as TypedDocumentString<SearchMessagesQuery, SearchMessagesQueryVariables>;
export const SummariesDocument = new TypedDocumentString(`
    query Summaries($id: ID!) {
  conversation(id: $id) {
    summaries(first: 5) {
      nodes {
        ...SummaryFields
      }
    }
  }
}
    fragment SummaryFields on Summary {
  id
  createdAt
  fromSeq
  toSeq
  messageCount
  model
  stale
  highlights {
    kind
    text
    topic
    messages {
      id
      seq
      createdAt
      sender {
        id
        displayName
      }
    }
  }
}`, {"hash":"sha256:19c93016086bee35a9ef35665fc15ff38b83e030d58429752ebba77570017280"}) as unknown as TypedDocumentString<SummariesQuery, SummariesQueryVariables>;
export const OneSummaryDocument = new TypedDocumentString(`
    query OneSummary($id: ID!) {
  node(id: $id) {
    ... on Summary {
      ...SummaryFields
    }
  }
}
    fragment SummaryFields on Summary {
  id
  createdAt
  fromSeq
  toSeq
  messageCount
  model
  stale
  highlights {
    kind
    text
    topic
    messages {
      id
      seq
      createdAt
      sender {
        id
        displayName
      }
    }
  }
}`, {"hash":"sha256:1210a7dc25e625a8b08d5d2cfdfc34e913c3af16cb0d6523b411e3cd40b8e66c"}) as unknown as TypedDocumentString<OneSummaryQuery, OneSummaryQueryVariables>;
export const SummaryProgressDocument = new TypedDocumentString(`
    subscription SummaryProgress($conversationId: ID!, $fromSeq: Int, $toSeq: Int) {
  summaryProgress(
    conversationId: $conversationId
    fromSeq: $fromSeq
    toSeq: $toSeq
  ) {
    progress
    summary {
      ...SummaryFields
    }
  }
}
    fragment SummaryFields on Summary {
  id
  createdAt
  fromSeq
  toSeq
  messageCount
  model
  stale
  highlights {
    kind
    text
    topic
    messages {
      id
      seq
      createdAt
      sender {
        id
        displayName
      }
    }
  }
}`, {"hash":"sha256:0a1e89eae736c364a39f604ad2ae73a241591fdbff8ab0d8579b518845c57b5b"}) as unknown as TypedDocumentString<SummaryProgressSubscription, SummaryProgressSubscriptionVariables>;
export const MessageChangesDocument = new TypedDocumentString(`
    subscription MessageChanges($conversationId: ID!) {
  messages(conversationId: $conversationId) {
    type
  }
}
    `, {"hash":"sha256:7f3b2c638362dac06f6a8e25a5ff5003bd560d0fbb65506e5ca168cc220c4082"}) as unknown as TypedDocumentString<MessageChangesSubscription, MessageChangesSubscriptionVariables>;
export const MembersWithDevicesDocument = new TypedDocumentString(`
    query MembersWithDevices($id: ID!) {
  conversation(id: $id) {
    members(first: 50) {
      nodes {
        user {
          id
          displayName
          devices {
            id
          }
        }
      }
    }
  }
}
    `, {"hash":"sha256:6955ffca379d0f3b9b79b9603cf57c75185249cdd4954f07e6a96cb7b8a0afe6"}) as unknown as TypedDocumentString<MembersWithDevicesQuery, MembersWithDevicesQueryVariables>;
export const PublicRoomsDocument = new TypedDocumentString(`
    query PublicRooms($search: String, $after: String) {
  publicConversations(search: $search, first: 20, after: $after) {
    nodes {
      ...RoomFields
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
    fragment RoomFields on Conversation {
  id
  title
  description
  imageUrl
  memberCount
  viewerCanJoin
}`, {"hash":"sha256:79d7c06ef7cfc4c8e12bfb617f9fbbe0aef7ad08f395125865b3aac970ac2386"}) as unknown as TypedDocumentString<PublicRoomsQuery, PublicRoomsQueryVariables>;
export const LeaveDocument = new TypedDocumentString(`
    mutation Leave($input: LeaveConversationInput!) {
  leaveConversation(input: $input) {
    conversationId
  }
}
    `, {"hash":"sha256:94de1fed421b6c6235a9b58c30a6027f8888c5c9329cdf5a2c2964d595a2bf64"}) as unknown as TypedDocumentString<LeaveMutation, LeaveMutationVariables>;
export const UpdateGroupDocument = new TypedDocumentString(`
    mutation UpdateGroup($input: UpdateGroupInput!) {
  updateGroup(input: $input) {
    conversation {
      id
    }
  }
}
    `, {"hash":"sha256:f931b507035116e7cae27fe21a305fde0dee19c0d56e6a215262f004104b8bad"}) as unknown as TypedDocumentString<UpdateGroupMutation, UpdateGroupMutationVariables>;
export const AddMembersDocument = new TypedDocumentString(`
    mutation AddMembers($input: AddMembersInput!) {
  addMembers(input: $input) {
    skippedUserIds
  }
}
    `, {"hash":"sha256:477bff18e209c8111df5ecc30a0545c183aa830a8d2cb005180509ab2dee3e7e"}) as unknown as TypedDocumentString<AddMembersMutation, AddMembersMutationVariables>;
export const RemoveMemberDocument = new TypedDocumentString(`
    mutation RemoveMember($input: RemoveMemberInput!) {
  removeMember(input: $input) {
    userId
  }
}
    `, {"hash":"sha256:2f2e50ee95b283f2e7aab6b7d77373a7ac2c27afc9f4f1da385821f1d2069702"}) as unknown as TypedDocumentString<RemoveMemberMutation, RemoveMemberMutationVariables>;
export const SetMemberRoleDocument = new TypedDocumentString(`
    mutation SetMemberRole($input: SetMemberRoleInput!) {
  setMemberRole(input: $input) {
    membership {
      id
      role
    }
  }
}
    `, {"hash":"sha256:8f4050d158af97f33cba9c5c092fdc40400adb85b083bbd2fdbf385e55704f13"}) as unknown as TypedDocumentString<SetMemberRoleMutation, SetMemberRoleMutationVariables>;
export const MembersDocument = new TypedDocumentString(`
    query Members($id: ID!, $search: String, $after: String) {
  conversation(id: $id) {
    members(search: $search, first: 50, after: $after) {
      nodes {
        id
        role
        user {
          ...PersonFields
          presence {
            status
          }
        }
      }
      pageInfo {
        hasNextPage
        endCursor
      }
    }
  }
}
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}`, {"hash":"sha256:a9d0eabe9ce5419ca9ac67c80c635a09cd58613a95d9df6688ff01795f952cac"}) as unknown as TypedDocumentString<MembersQuery, MembersQueryVariables>;
export const ProfileDocument = new TypedDocumentString(`
    query Profile($id: ID!) {
  user(id: $id) {
    ...PersonFields
    bio
    kind
    deletedAt
    viewerIsContact
    viewerHasBlocked
    presence {
      status
      lastSeenAt
    }
  }
}
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}`, {"hash":"sha256:421fe368bac0a785739efacb590beb7d35a8d7e11b4a3067c3a3c4c0e9932ee0"}) as unknown as TypedDocumentString<ProfileQuery, ProfileQueryVariables>;
export const SessionsDocument = new TypedDocumentString(`
    query Sessions {
  viewer {
    sessions {
      id
      deviceName
      createdAt
      lastUsedAt
      current
    }
  }
}
    `, {"hash":"sha256:bf5b0bc0f7813d91c709e075c62fec5382ebff0eb5bd40a7dd02a9660f4e72a1"}) as unknown as TypedDocumentString<SessionsQuery, SessionsQueryVariables>;
export const EndSessionDocument = new TypedDocumentString(`
    mutation EndSession($input: LogoutInput) {
  logout(input: $input) {
    sessionId
  }
}
    `, {"hash":"sha256:f1b337d4e999f92121e625384358b71208e1790a6e73abd4ab5671413ada64b1"}) as unknown as TypedDocumentString<EndSessionMutation, EndSessionMutationVariables>;
export const PushStateDocument = new TypedDocumentString(`
    query PushState {
  serverInfo {
    webPushPublicKey
  }
  viewer {
    sessions {
      id
      current
    }
    pushSubscriptions {
      ...PushFields
    }
  }
}
    fragment PushFields on PushSubscription {
  id
  kind
  createdAt
  session {
    id
    deviceName
    current
  }
}`, {"hash":"sha256:f5e42acebc8328099f0bbfab586a79921ef1b60ce999ee77bed42d9021890cc4"}) as unknown as TypedDocumentString<PushStateQuery, PushStateQueryVariables>;
export const RegisterPushDocument = new TypedDocumentString(`
    mutation RegisterPush($input: RegisterPushInput!) {
  registerPush(input: $input) {
    pushSubscription {
      ...PushFields
    }
  }
}
    fragment PushFields on PushSubscription {
  id
  kind
  createdAt
  session {
    id
    deviceName
    current
  }
}`, {"hash":"sha256:aab0206c5fb9e0d97c1a7aa0e0277b0bb248ebe3d820275ef3cde5d8cff76927"}) as unknown as TypedDocumentString<RegisterPushMutation, RegisterPushMutationVariables>;
export const RemovePushDocument = new TypedDocumentString(`
    mutation RemovePush($input: RemovePushInput!) {
  removePush(input: $input) {
    viewer {
      id
    }
  }
}
    `, {"hash":"sha256:817451ebb3929994a2cee3a30b15595bb18b77f2338ded1dea7af47b7c42f6ca"}) as unknown as TypedDocumentString<RemovePushMutation, RemovePushMutationVariables>;
export const SetAttentionDocument = new TypedDocumentString(`
    mutation SetAttention($input: SetAttentionInput!) {
  setAttention(input: $input) {
    viewer {
      id
    }
  }
}
    `, {"hash":"sha256:e11b77939d6d4241da3cccbdfca13176d5ef2190122a86ace5b7597ba022591b"}) as unknown as TypedDocumentString<SetAttentionMutation, SetAttentionMutationVariables>;
export const SetAvailabilityDocument = new TypedDocumentString(`
    mutation SetAvailability($input: SetAvailabilityInput!) {
  setAvailability(input: $input) {
    viewer {
      id
    }
  }
}
    `, {"hash":"sha256:87591ed3d1947c8ee54831a1c797547651b9347b2d821647ed14311c22872a50"}) as unknown as TypedDocumentString<SetAvailabilityMutation, SetAvailabilityMutationVariables>;
export const UpdateProfileDocument = new TypedDocumentString(`
    mutation UpdateProfile($input: UpdateProfileInput!) {
  updateProfile(input: $input) {
    viewer {
      id
    }
  }
}
    `, {"hash":"sha256:295b19265b0d47b68618e955dcbad006307cc4d68cdfa7d8ff43a3b40c94af4c"}) as unknown as TypedDocumentString<UpdateProfileMutation, UpdateProfileMutationVariables>;
export const ChangePasswordDocument = new TypedDocumentString(`
    mutation ChangePassword($input: ChangePasswordInput!) {
  changePassword(input: $input) {
    tokens {
      accessToken
      accessTokenExpiresAt
      refreshToken
    }
  }
}
    `, {"hash":"sha256:fb75f56019b5d9f79d470b44e6d5d4c231af5af5064325f99203ab4fe34fc619"}) as unknown as TypedDocumentString<ChangePasswordMutation, ChangePasswordMutationVariables>;
export const UploadStateDocument = new TypedDocumentString(`
    query UploadState($id: ID!) {
  node(id: $id) {
    ... on Attachment {
      state
    }
  }
}
    `, {"hash":"sha256:11ee80a3875f6d4c4a3c74de473c02c60116c050520d5fa3c6f2816a3a3321de"}) as unknown as TypedDocumentString<UploadStateQuery, UploadStateQueryVariables>;
export const StatusLimitsDocument = new TypedDocumentString(`
    query StatusLimits {
  serverInfo {
    limits {
      statusMaxChars
      statusVideoMaxMs
    }
  }
}
    `, {"hash":"sha256:5ba7bdaf0d827a5679acfd74a88d4b22990118bc000e3cdd1e3d93bbafdac408"}) as unknown as TypedDocumentString<StatusLimitsQuery, StatusLimitsQueryVariables>;
export const EncryptionAccountDocument = new TypedDocumentString(`
    query EncryptionAccount {
  viewer {
    accountKeys {
      identityKey
    }
  }
}
    `, {"hash":"sha256:739c690cc7147ee85c82586646158cad4316d4ddc950a80c94f186acff08da46"}) as unknown as TypedDocumentString<EncryptionAccountQuery, EncryptionAccountQueryVariables>;
export const EncryptionDevicesDocument = new TypedDocumentString(`
    query EncryptionDevices {
  viewer {
    user {
      devices {
        id
        name
        signatureKey
        certificate
        createdAt
      }
    }
  }
}
    `, {"hash":"sha256:c6e9419cefb4bff76203b5b7d8434d0fbaa381cbabfdf8844fdeb3885b23f2b1"}) as unknown as TypedDocumentString<EncryptionDevicesQuery, EncryptionDevicesQueryVariables>;
export const RenameDeviceDocument = new TypedDocumentString(`
    mutation RenameDevice($input: RenameDeviceInput!) {
  renameDevice(input: $input) {
    device {
      id
    }
  }
}
    `, {"hash":"sha256:f7d0cbf8c567787b801607b2971b4bbe54def7a6668c2d906f59d13068cc010a"}) as unknown as TypedDocumentString<RenameDeviceMutation, RenameDeviceMutationVariables>;
export const PushedMessageDocument = new TypedDocumentString(`
    query PushedMessage($id: ID!) {
  viewer {
    user {
      id
    }
  }
  node(id: $id) {
    ... on Message {
      id
      clientMessageId
      conversation {
        id
        kind
      }
      sender {
        id
        displayName
      }
      replyTo {
        id
      }
      editedAt
      encrypted {
        generation
        epoch
        content
        device {
          id
          signatureKey
          certificate
          user {
            id
          }
        }
      }
    }
  }
}
    `, {"hash":"sha256:6f147aad396a765555b491fc673a264b40dcf0786d56c778b70854b8c9047986"}) as unknown as TypedDocumentString<PushedMessageQuery, PushedMessageQueryVariables>;
export const ModeratorDocument = new TypedDocumentString(`
    query Moderator {
  viewer {
    id
    serviceRole
  }
}
    `, {"hash":"sha256:43477f8892bf936fe03ec228a2aa04bb07c1ac2101da45c82509359502d56564"}) as unknown as TypedDocumentString<ModeratorQuery, ModeratorQueryVariables>;
export const ReportableMessageDocument = new TypedDocumentString(`
    query ReportableMessage($id: ID!) {
  serverInfo {
    limits {
      reportCommentMaxChars
    }
  }
  node(id: $id) {
    ... on Message {
      id
      kind
      text
      deletedAt
      editedAt
      viewerReportedAt
      clientMessageId
      conversation {
        id
      }
      sender {
        id
      }
      replyTo {
        id
      }
      encrypted {
        generation
        epoch
        content
        device {
          id
          signatureKey
          certificate
          user {
            id
          }
        }
      }
    }
  }
}
    `, {"hash":"sha256:ace3c0b104b295cf674811a1999349a9a509f5e37ae19155625b077e02e2a999"}) as unknown as TypedDocumentString<ReportableMessageQuery, ReportableMessageQueryVariables>;
export const ReportMessageDocument = new TypedDocumentString(`
    mutation ReportMessage($input: ReportMessageInput!) {
  reportMessage(input: $input) {
    message {
      id
    }
  }
}
    `, {"hash":"sha256:473b4433174b52261359ef76c794d16bd23f0195b2c7581344579f636aa4a595"}) as unknown as TypedDocumentString<ReportMessageMutation, ReportMessageMutationVariables>;
export const ReportsDocument = new TypedDocumentString(`
    query Reports($state: ReportState!, $after: String) {
  reports(filter: {state: $state}, first: 20, after: $after) {
    pageInfo {
      hasNextPage
      endCursor
    }
    nodes {
      id
      reason
      comment
      createdAt
      resolution
      resolvedAt
      resolvedBy {
        ...PersonFields
      }
      reporter {
        ...PersonFields
      }
      target {
        __typename
        ... on ReportedMessage {
          text
          earlierTexts
          proof
          sentAt
          editedAt
          deletedAt
          files {
            name
            contentType
          }
          sender {
            ...PersonFields
            suspendedAt
          }
        }
      }
    }
  }
}
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}`, {"hash":"sha256:24d499cc33b56b1d62b259645566b6123c435c5c10bb90a3d9e5d65a9d8edb9c"}) as unknown as TypedDocumentString<ReportsQuery, ReportsQueryVariables>;
export const SuspendUserDocument = new TypedDocumentString(`
    mutation SuspendUser($input: SuspendUserInput!) {
  suspendUser(input: $input) {
    user {
      id
      suspendedAt
    }
  }
}
    `, {"hash":"sha256:1fa331df09714822626dc312e130e3c01d5f616e16f16852c03e4480c9b22c88"}) as unknown as TypedDocumentString<SuspendUserMutation, SuspendUserMutationVariables>;
export const UnsuspendUserDocument = new TypedDocumentString(`
    mutation UnsuspendUser($input: UnsuspendUserInput!) {
  unsuspendUser(input: $input) {
    user {
      id
      suspendedAt
    }
  }
}
    `, {"hash":"sha256:f5e10e98b9c8ed640e4899872e55c5dd1bd4ce1b9442016524cd4b375b73395d"}) as unknown as TypedDocumentString<UnsuspendUserMutation, UnsuspendUserMutationVariables>;
export const ResolveReportDocument = new TypedDocumentString(`
    mutation ResolveReport($input: ResolveReportInput!) {
  resolveReport(input: $input) {
    report {
      id
    }
  }
}
    `, {"hash":"sha256:c3f8faa9385ec730efeea2b148c5a5c985cd0367efe5ba0dae1c3c389fe2d1b6"}) as unknown as TypedDocumentString<ResolveReportMutation, ResolveReportMutationVariables>;
export const EncryptedPageDocument = new TypedDocumentString(`
    query EncryptedPage($id: ID!, $before: String) {
  conversation(id: $id) {
    messages(last: 50, before: $before) {
      nodes {
        id
        seq
        kind
        createdAt
        editedAt
        deletedAt
        clientMessageId
        conversation {
          id
        }
        sender {
          ...PersonFields
        }
        replyTo {
          id
          seq
        }
        mentions {
          id
        }
        mentionsEveryone
        reactions {
          count
        }
        attachments {
          id
          altText
        }
        encrypted {
          generation
          epoch
          content
          device {
            id
            signatureKey
            certificate
            user {
              id
            }
          }
        }
      }
      pageInfo {
        hasPreviousPage
        startCursor
      }
    }
  }
}
    fragment PersonFields on User {
  id
  username
  displayName
  avatarUrl
}`, {"hash":"sha256:d71a1a03c9f384f01a5ff70c50c255799a97c0e7020891b5208560b5d2930c86"}) as unknown as TypedDocumentString<EncryptedPageQuery, EncryptedPageQueryVariables>;
export const JoinDocument = new TypedDocumentString(`
    mutation Join($input: JoinConversationInput!) {
  joinConversation(input: $input) {
    conversation {
      id
    }
  }
}
    `, {"hash":"sha256:f13d9bfd4bfa55ecfa057c2c8706472cf27289bc585d6734a08dfdf2f987493f"}) as unknown as TypedDocumentString<JoinMutation, JoinMutationVariables>;