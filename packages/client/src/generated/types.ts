/* eslint-disable */
/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** The input of the mutation `acceptCall`. */
export type AcceptCallInput = {
  /** The call. */
  callId: string;
  /** An idempotency key chosen by the client, up to 128 characters. Retrying with the same key returns the same `partyId`. */
  clientPartyId?: string | null | undefined;
};

/** The input of the mutation `acknowledge`. */
export type AcknowledgeInput = {
  /** The conversation of the stream, if the cursor comes from a stream of a single conversation. Omit it for a cursor of the stream of all conversations. */
  conversationId?: string | null | undefined;
  /** The cursor of an event of the `messages` stream. */
  cursor: string;
};

/** The input of the mutation `addContact`. */
export type AddContactInput = {
  /** The user to add. */
  userId: string;
};

/** The input of the mutation `addReaction`. */
export type AddReactionInput = {
  /** A single Unicode emoji, which can be a flag, have a skin tone or be a joined sequence. Spellings with and without variation selectors count as the same emoji. If the content of the message is encrypted, the emoji must be, too (63 bytes in base64url; `CONFLICT` with the reason `ENCRYPTED` otherwise). Only to remove a reaction, either form is accepted. */
  emoji: string;
  /** The message. */
  messageId: string;
};

/** What a file is. Treat an unknown value like FILE. */
export type AttachmentKind =
  /** A sound recording: MP3, MP4, Ogg, WebM or WAV. */
  | 'AUDIO'
  /** Any file. It is kept byte for byte and never shown inside a page. */
  | 'FILE'
  /** A JPEG, PNG, WebP, GIF or AVIF image. */
  | 'IMAGE'
  /** A video, in MP4 or WebM when it is READY. */
  | 'VIDEO'
  /** A voice message, in the formats of AUDIO. */
  | 'VOICE'
  | '%future added value';

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

/** The input of the mutation `blockUser`. */
export type BlockUserInput = {
  /** The user to block. */
  userId: string;
};

/** Why a call ended. Treat an unknown value like FAILED. */
export type CallEndReason =
  /** The other user was in another call. */
  | 'BUSY'
  /** The caller hung up before anybody answered. */
  | 'CANCELLED'
  /** The call was declined. */
  | 'DECLINED'
  /** A participant could no longer take part, for example because they were signed out or removed from the conversation. */
  | 'FAILED'
  /** A participant hung up. */
  | 'HUNG_UP'
  /** All participants were disconnected from the server for too long. */
  | 'LOST'
  /** Nobody answered in time. */
  | 'MISSED'
  | '%future added value';

/** The kind of an event of the stream `calls`. Treat an unknown value as a hint that `call` has changed. */
export type CallEventType =
  /** The live calls and the waiting signals have been delivered. Begin to ring now, and not before. Calls that the client knew and that were not delivered have ended. */
  | 'CAUGHT_UP'
  /** A call was started, or changed. */
  | 'CHANGED'
  /** The viewer has declined the call of a group on one of their devices: the others stop ringing. */
  | 'DECLINED'
  /** A signal arrived for this device. */
  | 'SIGNAL'
  | '%future added value';

/** The kind of a call. Every device can turn its microphone and camera on and off in both. */
export type CallKind =
  /** Cameras are on at the beginning. */
  | 'VIDEO'
  /** Cameras are off at the beginning. */
  | 'VOICE'
  | '%future added value';

/** Whether a device is in a call. Treat an unknown value like CONNECTED. */
export type CallPartyState =
  /** The device is in the call. */
  | 'CONNECTED'
  /** The device has left the call. */
  | 'LEFT'
  /** The device is in the call, but has not been connected to the server for some seconds. Its audio and video may still arrive. */
  | 'RECONNECTING'
  | '%future added value';

/** The state of a call. Treat an unknown value like ACTIVE. */
export type CallState =
  /** The call was answered. */
  | 'ACTIVE'
  /** The call is over. It does not change any more. */
  | 'ENDED'
  /** Nobody has answered yet. */
  | 'RINGING'
  | '%future added value';

/** The input of the mutation `cancelUpload`. */
export type CancelUploadInput = {
  /** An upload of the viewer. */
  attachmentId: string;
};

/** The input of the mutation `completeUpload`. */
export type CompleteUploadInput = {
  /** An upload of the viewer. */
  attachmentId: string;
};

/** What changed, as a hint. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway. */
export type ContactEventType =
  /** The viewer has blocked the user, which also removes the user from the contacts. */
  | 'BLOCKED'
  /** All missed events have been delivered. The following events are live. A client that subscribed without `after` fetches both lists now. */
  | 'CAUGHT_UP'
  /** Nothing changed. The event only carries a newer cursor to store. */
  | 'CHECKPOINT'
  /** The viewer has added the user to their contacts. */
  | 'CONTACT_ADDED'
  /** The viewer has removed the user from their contacts, or the user has deleted their account. */
  | 'CONTACT_REMOVED'
  /** The viewer has unblocked the user, or the user has deleted their account. */
  | 'UNBLOCKED'
  | '%future added value';

/** What changed in a conversation. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway. */
export type ConversationEventType =
  /** All missed events have been delivered. The following events are live. */
  | 'CAUGHT_UP'
  /** Nothing changed. The event only carries a newer cursor to store. */
  | 'CHECKPOINT'
  /** The viewer became a member of the conversation. */
  | 'JOINED'
  /** The viewer is no longer a member. Remove the conversation from the client's data. */
  | 'LEFT'
  /** Another user became a member. */
  | 'MEMBER_JOINED'
  /** Another member left or was removed. */
  | 'MEMBER_LEFT'
  /** The role or the profile of a member changed. */
  | 'MEMBER_UPDATED'
  /** The title, description, picture or a visibility setting changed. */
  | 'UPDATED'
  | '%future added value';

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

/** The input of the mutation `createGroup`. */
export type CreateGroupInput = {
  /** An idempotency key chosen by the client, up to 128 characters. Retrying with the same key and input never creates a second group. */
  clientGroupId?: string | null | undefined;
  /** The description: up to 1000 characters. */
  description?: string | null | undefined;
  /** Whether new members can read messages sent before they joined. */
  historyVisibility?: HistoryVisibility | null | undefined;
  /** The initial members, at most `serverInfo.limits.groupAddMax`. The creator is always a member and need not be listed. */
  memberIds?: Array<string> | null | undefined;
  /** The title: 1 to 100 characters. */
  title: string;
  /** Who can find and join the group. */
  visibility?: ConversationVisibility | null | undefined;
};

/** The input of the mutation `createUpload`. */
export type CreateUploadInput = {
  /** An alternative text for people who cannot see the image: up to 1000 characters. */
  altText?: string | null | undefined;
  /** The size of the file in bytes. */
  byteSize: number;
  /** A key that the client chooses for this file: at most 128 characters, unique per user. */
  clientUploadId: string;
  /** The name of the file: 1 to 255 characters. A leading path is removed. */
  filename: string;
  /** How the file is to be treated. A file whose content does not match is REJECTED when it is processed. */
  kind: AttachmentKind;
  /** The SHA-256 hash of the file in hexadecimal digits. A file with a different hash is REJECTED. */
  sha256?: string | null | undefined;
  /** The loudness of a recording as the client has measured it: 64 peaks from 0 to 100. It is used until the file has been processed, and stays if the server cannot decode the recording. */
  waveform?: Array<number> | null | undefined;
};

/** The input of the mutation `declineCall`. */
export type DeclineCallInput = {
  /** The call. */
  callId: string;
};

/** The input of the mutation `deleteMessage`. */
export type DeleteMessageInput = {
  /** The message to delete. */
  messageId: string;
};

/** The input of the mutation `deleteStatus`. */
export type DeleteStatusInput = {
  /** The status. */
  statusId: string;
};

/** The input of the mutation `editMessage`. */
export type EditMessageInput = {
  /** The encrypted content, in place of a text, in an encrypted conversation. */
  encrypted?: EncryptedInput | null | undefined;
  /** The message to edit. */
  messageId: string;
  /** The new text: 1 to `serverInfo.limits.messageMaxChars` characters after trimming. Without it, the text of a message with attachments is removed. */
  text?: string | null | undefined;
};

/** The encrypted content of a message. It is refused with CONFLICT and the reason STALE_EPOCH if the group is in another epoch, and with the reason REKEY while a device has to be removed from the group. */
export type EncryptedInput = {
  /** The encrypted content: at most `serverInfo.limits.encryptedContentMaxBytes` bytes. */
  content: string;
  /** The device of the viewer that encrypted it. */
  deviceId: string;
  /** The epoch of the group. */
  epoch: number;
  /** The generation of the group. */
  generation: number;
  /** The users that the text mentions, which the server cannot read: at most `serverInfo.limits.mentionsMax`. Users who are not members are ignored. */
  mentionedIds?: Array<string> | null | undefined;
  /** Whether the text mentions everyone, which takes effect only if an owner or admin of a group sends it. */
  mentionsEveryone?: boolean | null | undefined;
};

/** Whether the server can read the messages of a conversation. */
export type Encryption =
  /** Only the devices of the members can read the messages. It is set once and never taken back, and only in direct conversations and private groups. */
  | 'END_TO_END'
  /** The server can read the messages. */
  | 'NONE'
  | '%future added value';

/** Whether new members can read messages sent before they joined. */
export type HistoryVisibility =
  /** New members can read all messages. */
  | 'ALL'
  /** New members can only read messages sent after they joined. */
  | 'SINCE_JOINED'
  | '%future added value';

/** The input of the mutation `leaveCall`. */
export type LeaveCallInput = {
  /** The call. */
  callId: string;
  /** One of the viewer's devices in the call. */
  partyId: string;
};

/** The input of the mutation `login`. */
export type LoginInput = {
  /** A name for the list of sessions, up to 80 characters. */
  deviceName?: string | null | undefined;
  /** The password of the account. */
  password: string;
  /** The username or the email address of the account, regardless of case. */
  usernameOrEmail: string;
};

/** The input of the mutation `markNotificationsRead`. */
export type MarkNotificationsReadInput = {
  /** If it is true, only this notification is marked as read, and older ones remain as they are. */
  onlyThis?: boolean | null | undefined;
  /** The newest notification to mark as read. All older ones in the viewer's inbox are marked with it. */
  upToId: string;
};

/** The input of the mutation `markRead`. */
export type MarkReadInput = {
  /** The conversation. */
  conversationId: string;
  /** The `seq` up to which all messages have been read. */
  seq: number;
};

/** The input of the mutation `markStatusesViewed`. */
export type MarkStatusesViewedInput = {
  /** The statuses, at most `serverInfo.limits.statusesMax`. */
  statusIds: Array<string>;
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

/** The input of the mutation `muteConversation`. */
export type MuteConversationInput = {
  /** The conversation, of which the viewer must be a member. */
  conversationId: string;
  /** When the mute ends, which must be in the future. Null, or omitting it, unmutes the conversation. */
  until?: string | null | undefined;
};

/** The input of the mutation `muteStatuses`. */
export type MuteStatusesInput = {
  /** True to hide their statuses, false to show them. */
  muted: boolean;
  /** The author. */
  userId: string;
};

/** What happened to the notification, as a hint. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway. */
export type NotificationEventType =
  /** The notification was added to the inbox. */
  | 'ADDED'
  /** All missed events have been delivered. The following events are live. */
  | 'CAUGHT_UP'
  /** Nothing changed. The event only carries a newer cursor to store. */
  | 'CHECKPOINT'
  /** The notification was removed from the inbox. Remove the notification with the id `notificationId` from the client's data. */
  | 'REMOVED'
  /** The notification was read, or its occurrences changed. A new occurrence moves it to the top. */
  | 'UPDATED'
  | '%future added value';

/** What a notification is about. Do not show notifications with an unknown value, which a newer server introduced. */
export type NotificationKind =
  /** Another user has added the viewer to a group. */
  | 'ADDED_TO_GROUP'
  /** A message mentions the viewer. */
  | 'MENTION'
  /** Calls in one conversation that the viewer did not answer. In large groups, missed calls are only reported by their system messages. */
  | 'MISSED_CALL'
  /** Reactions to one of the viewer's messages. */
  | 'REACTION'
  /** Replies to one of the viewer's messages. A reply that mentions the viewer is a MENTION. */
  | 'REPLY'
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

/** The input of the mutation `openDirectConversation`. */
export type OpenDirectConversationInput = {
  /** The other user. */
  userId: string;
};

/** The input of the mutation `pinMessage`. */
export type PinMessageInput = {
  /** The message. */
  messageId: string;
};

/** The input of the mutation `postStatus`. */
export type PostStatusInput = {
  /** An upload of kind IMAGE or VIDEO. While it is PROCESSING, only the author can see the status. If it is rejected, or a video turns out to be longer than `serverInfo.limits.statusVideoMaxMs`, the status is deleted. */
  attachmentId?: string | null | undefined;
  /** Who can see the status. The default is `viewer.statusAudience`. */
  audience?: StatusAudienceInput | null | undefined;
  /** An idempotency key chosen by the client, up to 128 characters. */
  clientStatusId: string;
  /** The name of a style in which to display the text, at most 64 characters. Clients define these names; the server only stores them. */
  style?: string | null | undefined;
  /** The text: at most `serverInfo.limits.statusMaxChars` characters after trimming. */
  text?: string | null | undefined;
};

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

/** How much a push notification shows. */
export type PushPreview =
  /** The text of the message, its sender and its conversation. */
  | 'FULL'
  /** Only that there is something new. */
  | 'NOTHING'
  /** The sender and the conversation, without the text. */
  | 'SENDER'
  | '%future added value';

/** The quiet hours to set. */
export type QuietHoursInput = {
  /** When the quiet hours begin, in local time: HH:MM from 00:00 to 23:59. */
  from: string;
  /** The name of an IANA time zone, such as `Europe/Berlin`, or `UTC`. Offsets such as `+02:00` are not accepted. */
  timeZone: string;
  /** When the quiet hours end, in local time: HH:MM. If it is earlier than `from`, they span midnight. */
  to: string;
};

/** The kind of a receipt event. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway. */
export type ReceiptEventType =
  /** All missed events have been delivered. The following events are live. */
  | 'CAUGHT_UP'
  /** Nothing changed. The event only carries a newer cursor to store. */
  | 'CHECKPOINT'
  /** A mark of a member moved forward. */
  | 'MOVED'
  | '%future added value';

/** The input of the mutation `refreshSession`. */
export type RefreshSessionInput = {
  /** The refresh token of the session. */
  refreshToken?: string | null | undefined;
};

/** The input of the mutation `register`. */
export type RegisterInput = {
  /** A name for the list of sessions, up to 80 characters. */
  deviceName?: string | null | undefined;
  /** The name to show to others: up to 80 characters. The default is the username. */
  displayName?: string | null | undefined;
  /** The email address, which only the user can see. It is unique regardless of case. */
  email: string;
  /** The password: 8 to 72 bytes in UTF-8. */
  password: string;
  /** The username: 3 to 32 letters, digits, `_`, `.` or `-`. It is unique regardless of case. */
  username: string;
};

/** The input of the mutation `removeContact`. */
export type RemoveContactInput = {
  /** The user to remove. */
  userId: string;
};

/** The input of the mutation `removeReaction`. */
export type RemoveReactionInput = {
  /** A single Unicode emoji, which can be a flag, have a skin tone or be a joined sequence. Spellings with and without variation selectors count as the same emoji. If the content of the message is encrypted, the emoji must be, too (63 bytes in base64url; `CONFLICT` with the reason `ENCRYPTED` otherwise). Only to remove a reaction, either form is accepted. */
  emoji: string;
  /** The message. */
  messageId: string;
};

/** The input of the mutation `saveDraft`. */
export type SaveDraftInput = {
  /** The conversation, of which the viewer must be a member. */
  conversationId: string;
  /** The message that the draft replies to. It must be a message of kind USER in the same conversation that the viewer can see. If it is null or omitted, the draft is not a reply. */
  replyToId?: string | null | undefined;
  /** The text, which is stored unchanged: at most `serverInfo.limits.draftMaxChars` characters. Without a visible character, and without `replyToId`, it deletes the draft. */
  text: string;
};

/** The input of the mutation `sendCallSignals`. */
export type SendCallSignalsInput = {
  /** All signals to `fromPartyId` up to this `seq` have been handled, and can be deleted. */
  acknowledgedSeq?: number | null | undefined;
  /** The call. */
  callId: string;
  /** This device in the call. */
  fromPartyId: string;
  /** The signals in their order, in the format of the client: each at most `serverInfo.limits.callSignalMaxBytes` bytes. The list can be empty to only acknowledge signals. */
  payloads: Array<string>;
  /** The device that receives the signals. */
  toPartyId: string;
};

/** The input of the mutation `sendMessage`. */
export type SendMessageInput = {
  /** Uploads of the sender that are PROCESSING or READY, at most `serverInfo.limits.attachmentsMax`. Each upload can be used in only one message. With attachments, `text` can be absent. */
  attachmentIds?: Array<string> | null | undefined;
  /** An idempotency key chosen by the client, up to 128 characters and unique among the sender's messages. Retrying with the same key and input never sends a second message. */
  clientMessageId?: string | null | undefined;
  /** The conversation to send the message to. */
  conversationId: string;
  /** The encrypted content, in place of a text, in an encrypted conversation. */
  encrypted?: EncryptedInput | null | undefined;
  /** The message that this message replies to. It must be a message of kind USER in the same conversation that the sender can see. */
  replyToId?: string | null | undefined;
  /** The status that this message replies to. The conversation must be the direct conversation with its author, and the sender must be able to see the status. */
  replyToStatusId?: string | null | undefined;
  /** The text: 1 to `serverInfo.limits.messageMaxChars` characters after trimming. */
  text?: string | null | undefined;
};

/** The input of the mutation `setNotificationLevel`. */
export type SetNotificationLevelInput = {
  /** The conversation, of which the viewer must be a member. */
  conversationId: string;
  /** The level. Null, or omitting it, restores the viewer's default. */
  level?: NotificationLevel | null | undefined;
};

/** The input of the mutation `setStatusViewsReported`. */
export type SetStatusViewsReportedInput = {
  /** Whether views are reported. */
  reported: boolean;
};

/** The input of the mutation `setTyping`. */
export type SetTypingInput = {
  /** The conversation in which the viewer is typing. */
  conversationId: string;
  /** Whether the viewer is typing. */
  isTyping: boolean;
};

/** The input of the mutation `startCall`. */
export type StartCallInput = {
  /** An idempotency key chosen by the client, up to 128 characters. */
  clientCallId: string;
  /** The conversation. */
  conversationId: string;
  /** The kind of the call. */
  kind: CallKind;
};

/** Who can see a status. */
export type StatusAudienceInput = {
  /** Which mutual contacts can see a status. */
  mode: StatusAudienceMode;
  /** The listed users, at most `serverInfo.limits.statusListedMax`. It must be absent or empty for CONTACTS. */
  userIds?: Array<string> | null | undefined;
};

/** Which mutual contacts of the author can see a status. */
export type StatusAudienceMode =
  /** All mutual contacts. */
  | 'CONTACTS'
  /** All mutual contacts except the listed users. */
  | 'CONTACTS_EXCEPT'
  /** Only the listed users, as far as they are mutual contacts. */
  | 'ONLY'
  | '%future added value';

/** The kind of an event of the stream `statuses`. Treat an unknown value as a hint that `status` has changed. */
export type StatusEventType =
  /** Fetch `viewer.statusFeed` and `viewer.statuses` now: the stream delivers all later changes. It is repeated when contacts or blocks have changed. */
  | 'CAUGHT_UP'
  /** A status was deleted. Only `statusId` is set. */
  | 'DELETED'
  /** A status was posted, or its attachment became READY. */
  | 'POSTED'
  /** A status of the viewer was viewed, or the viewer has viewed a status on another device. */
  | 'VIEWED'
  | '%future added value';

/** The kind of an event in a conversation. Treat an unknown value as an event that a newer server introduced. */
export type SystemEventType =
  /** A call ended: see `call`. */
  | 'CALL_ENDED'
  /** The description changed. */
  | 'DESCRIPTION_CHANGED'
  /** A member encrypted the conversation: messages are encrypted end to end from then on. */
  | 'ENCRYPTION_ENABLED'
  /** The group was created. */
  | 'GROUP_CREATED'
  /** The `historyVisibility` of the group changed. */
  | 'HISTORY_VISIBILITY_CHANGED'
  /** A member added other users. */
  | 'MEMBER_ADDED'
  /** A user joined the group. */
  | 'MEMBER_JOINED'
  /** A member left the group. */
  | 'MEMBER_LEFT'
  /** A member was removed by another member. */
  | 'MEMBER_REMOVED'
  /** The role of a member changed. */
  | 'ROLE_CHANGED'
  /** The title changed. */
  | 'TITLE_CHANGED'
  /** The `visibility` of the group changed. */
  | 'VISIBILITY_CHANGED'
  | '%future added value';

/** The input of the mutation `unblockUser`. */
export type UnblockUserInput = {
  /** The user to unblock. */
  userId: string;
};

/** The input of the mutation `unpinMessage`. */
export type UnpinMessageInput = {
  /** The message. */
  messageId: string;
};

/** The input of the mutation `updateCallMedia`. */
export type UpdateCallMediaInput = {
  /** The call. */
  callId: string;
  /** Whether the device sends video from its camera. */
  cameraOn?: boolean | null | undefined;
  /** Whether the device sends audio from its microphone. */
  microphoneOn?: boolean | null | undefined;
  /** This device in the call. */
  partyId: string;
  /** Whether the device shares its screen. */
  screenOn?: boolean | null | undefined;
};

/** The input of the mutation `updateNotificationSettings`. */
export type UpdateNotificationSettingsInput = {
  /** The level for conversations for which the viewer has not chosen one. Null restores the default of the service. */
  defaultLevel?: NotificationLevel | null | undefined;
  /** The time until which no pushes are sent, which must be in the future. Null removes it. */
  doNotDisturbUntil?: string | null | undefined;
  /** Whether the viewer wants emails about what they have not read. Null restores the default of the service. */
  emailDigest?: boolean | null | undefined;
  /** The language of emails and pushes, as a BCP 47 tag such as `de-AT`. Without texts in this language, they are in English. */
  locale?: string | null | undefined;
  /** How much a push shows. Null restores the default of the service. */
  pushPreview?: PushPreview | null | undefined;
  /** The hours of each day in which no pushes are sent. Null removes them. */
  quietHours?: QuietHoursInput | null | undefined;
};

/** The kind of a user. */
export type UserKind =
  /** A program. */
  | 'BOT'
  /** A person. */
  | 'PERSON'
  | '%future added value';

/** What changed, as a hint. Treat an unknown value as a change that a newer server introduced, and apply the event's data anyway. */
export type ViewerChangeType =
  /** All missed events have been delivered. The following events are live. */
  | 'CAUGHT_UP'
  /** Nothing changed. The event only carries a newer cursor to store. */
  | 'CHECKPOINT'
  /** The viewer deleted a draft, or they are no longer a member of its conversation. See `draftId`. */
  | 'DRAFT_DELETED'
  /** The viewer saved a draft. See `draft`. */
  | 'DRAFT_SAVED'
  /** A setting of the viewer's own membership changed that other members do not see, such as `notificationLevel`. See `membership`. */
  | 'MEMBERSHIP_SETTINGS'
  /** The viewer's profile, availability, email address, role in the service, notification settings or status settings (the audience, the reporting of views and the muted authors) changed. See `viewer`. */
  | 'SETTINGS'
  | '%future added value';

export type CallFieldsFragment = { __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> };

export type CallsSubscriptionVariables = Exact<{
  partyId?: string | null | undefined;
}>;


export type CallsSubscription = { calls: { type: CallEventType, call: { __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> } | null, signal: { seq: number, fromPartyId: string, payload: string } | null } };

export type IceServersQueryVariables = Exact<{ [key: string]: never; }>;


export type IceServersQuery = { viewer: { iceServers: Array<{ urls: Array<string>, username: string | null, credential: string | null }> } | null };

export type CallSfuAccessQueryVariables = Exact<{
  id: string;
}>;


export type CallSfuAccessQuery = { node:
    | { sfu: { url: string, room: string, access: { token: string } | null } | null }
    | Record<PropertyKey, never>
   | null };

export type CallHistoryQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type CallHistoryQuery = { viewer: { calls: { nodes: Array<{ __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type ConversationCallsQueryVariables = Exact<{
  id: string;
  first: number;
  after?: string | null | undefined;
}>;


export type ConversationCallsQuery = { conversation: { calls: { nodes: Array<{ __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type CallOfMessageQueryVariables = Exact<{
  id: string;
}>;


export type CallOfMessageQuery = { node:
    | { systemEvent: { call: { __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> } | null } | null }
    | Record<PropertyKey, never>
   | null };

export type StartCallMutationVariables = Exact<{
  input: StartCallInput;
}>;


export type StartCallMutation = { startCall: { partyId: string, call: { __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> } } | null };

export type AcceptCallMutationVariables = Exact<{
  input: AcceptCallInput;
}>;


export type AcceptCallMutation = { acceptCall: { partyId: string, call: { __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> } } | null };

export type DeclineCallMutationVariables = Exact<{
  input: DeclineCallInput;
}>;


export type DeclineCallMutation = { declineCall: { call: { __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> } } | null };

export type LeaveCallMutationVariables = Exact<{
  input: LeaveCallInput;
}>;


export type LeaveCallMutation = { leaveCall: { call: { __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> } } | null };

export type SendCallSignalsMutationVariables = Exact<{
  input: SendCallSignalsInput;
}>;


export type SendCallSignalsMutation = { sendCallSignals: { call: { __typename: 'Call', id: string } } | null };

export type UpdateCallMediaMutationVariables = Exact<{
  input: UpdateCallMediaInput;
}>;


export type UpdateCallMediaMutation = { updateCallMedia: { call: { __typename: 'Call', id: string, kind: CallKind, state: CallState, startedAt: string, ringUntil: string, answeredAt: string | null, endedAt: string | null, endReason: CallEndReason | null, durationMs: number | null, relayOnly: boolean, sfu: { url: string, room: string } | null, conversation: { __typename: 'Conversation', id: string }, startedBy: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, parties: Array<{ __typename: 'CallParty', id: string, state: CallPartyState, microphoneOn: boolean, cameraOn: boolean, screenOn: boolean, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }> } } | null };

export type SenderDevicesQueryVariables = Exact<{
  ids: Array<string> | string;
}>;


export type SenderDevicesQuery = { nodes: Array<
    | { __typename: 'Device', id: string, signatureKey: string, certificate: string, user: { __typename: 'User', id: string } }
    | Record<PropertyKey, never>
   | null> };

export type MessagesToOpenQueryVariables = Exact<{
  ids: Array<string> | string;
}>;


export type MessagesToOpenQuery = { nodes: Array<
    | { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, conversation: { __typename: 'Conversation', id: string }, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null }
    | Record<PropertyKey, never>
   | null> };

export type MembersByNameQueryVariables = Exact<{
  id: string;
  search: string;
}>;


export type MembersByNameQuery = { conversation: { members: { nodes: Array<{ user: { __typename: 'User', id: string, username: string } }> } | null } | null };

export type CreateUploadMutationVariables = Exact<{
  input: CreateUploadInput;
}>;


export type CreateUploadMutation = { createUpload: { upload: { expiresAt: string, attachment: { __typename: 'Attachment', id: string, state: AttachmentState }, missingParts: Array<{ offset: number, byteSize: number, url: string, headers: Array<{ name: string, value: string }> }> } } | null };

export type CompleteUploadMutationVariables = Exact<{
  input: CompleteUploadInput;
}>;


export type CompleteUploadMutation = { completeUpload: { attachment: { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> } } | null };

export type CancelUploadMutationVariables = Exact<{
  input: CancelUploadInput;
}>;


export type CancelUploadMutation = { cancelUpload: { attachmentId: string } | null };

export type OneAttachmentQueryVariables = Exact<{
  id: string;
}>;


export type OneAttachmentQuery = { node:
    | { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }
    | Record<PropertyKey, never>
   | null };

export type MediaTokenQueryVariables = Exact<{ [key: string]: never; }>;


export type MediaTokenQuery = { viewer: { mediaToken: string } | null };

export type ConversationAttachmentsQueryVariables = Exact<{
  id: string;
  kind?: AttachmentKind | null | undefined;
  first: number;
  after?: string | null | undefined;
}>;


export type ConversationAttachmentsQuery = { conversation: { attachments: { edges: Array<{ node: { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }, message: { __typename: 'Message', id: string, seq: number, createdAt: string, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type NotificationFieldsFragment = { __typename: 'Notification', id: string, kind: NotificationKind, createdAt: string, readAt: string | null, count: number, actors: Array<{ __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }>, conversation: { __typename: 'Conversation', id: string, title: string | null, imageUrl: string | null, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null } | null, message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null };

export type InboxQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type InboxQuery = { viewer: { __typename: 'Viewer', id: string, syncCursor: string, unreadNotificationCount: number, notificationSettings: { defaultLevel: NotificationLevel, doNotDisturbUntil: string | null, pushPreview: PushPreview, emailDigest: boolean, locale: string | null, quietHours: { from: string, to: string, timeZone: string } | null }, notifications: { nodes: Array<{ __typename: 'Notification', id: string, kind: NotificationKind, createdAt: string, readAt: string | null, count: number, actors: Array<{ __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }>, conversation: { __typename: 'Conversation', id: string, title: string | null, imageUrl: string | null, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null } | null, message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type NotificationsSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type NotificationsSubscription = { notifications: { type: NotificationEventType, cursor: string, changeSeq: number | null, replayed: boolean, notificationId: string | null, unreadCount: number, notification: { __typename: 'Notification', id: string, kind: NotificationKind, createdAt: string, readAt: string | null, count: number, actors: Array<{ __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }>, conversation: { __typename: 'Conversation', id: string, title: string | null, imageUrl: string | null, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null } | null, message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null } | null } };

export type MarkNotificationsReadMutationVariables = Exact<{
  input: MarkNotificationsReadInput;
}>;


export type MarkNotificationsReadMutation = { markNotificationsRead: { viewer: { __typename: 'Viewer', id: string, unreadNotificationCount: number } } | null };

export type UpdateNotificationSettingsMutationVariables = Exact<{
  input: UpdateNotificationSettingsInput;
}>;


export type UpdateNotificationSettingsMutation = { updateNotificationSettings: { viewer: { __typename: 'Viewer', id: string, notificationSettings: { defaultLevel: NotificationLevel, doNotDisturbUntil: string | null, pushPreview: PushPreview, emailDigest: boolean, locale: string | null, quietHours: { from: string, to: string, timeZone: string } | null } } } | null };

export type SetNotificationLevelMutationVariables = Exact<{
  input: SetNotificationLevelInput;
}>;


export type SetNotificationLevelMutation = { setNotificationLevel: { membership: { __typename: 'Membership', id: string, notificationLevel: NotificationLevel | null, mutedUntil: string | null } } | null };

export type MuteConversationMutationVariables = Exact<{
  input: MuteConversationInput;
}>;


export type MuteConversationMutation = { muteConversation: { membership: { __typename: 'Membership', id: string, notificationLevel: NotificationLevel | null, mutedUntil: string | null } } | null };

export type UserFieldsFragment = { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null };

export type PersonFieldsFragment = { __typename: 'User', viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null };

export type NameFieldsFragment = { __typename: 'User', id: string, username: string, displayName: string };

export type SealedFieldsFragment = { encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null };

export type PreviewFieldsFragment = { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, clientMessageId: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null };

export type PinnedFieldsFragment = { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, pinnedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null };

export type SystemEventFieldsFragment = { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> };

export type MessageFieldsFragment = { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null };

export type AttachmentFieldsFragment = { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> };

export type MembershipFieldsFragment = { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } };

export type LevelFieldsFragment = { notificationLevel: NotificationLevel | null, mutedUntil: string | null };

export type ConversationFieldsFragment = { __typename: 'Conversation', id: string, kind: ConversationKind, title: string | null, description: string | null, imageUrl: string | null, visibility: ConversationVisibility, encryption: Encryption, historyVisibility: HistoryVisibility, memberCount: number, latestSeq: number, lastActivityAt: string, othersReadSeq: number | null, othersDeliveredSeq: number | null, viewerCanSend: boolean, viewerCanUpdate: boolean, viewerCanAddMembers: boolean, viewerCanPin: boolean, viewerCanJoin: boolean, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null, presence: { status: PresenceStatus, lastSeenAt: string | null } | null } | null, viewerMembership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, notificationLevel: NotificationLevel | null, mutedUntil: string | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null, lastMessage: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, clientMessageId: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null };

export type DraftFieldsFragment = { __typename: 'Draft', id: string, text: string, updatedAt: string, conversation: { __typename: 'Conversation', id: string }, replyTo: { __typename: 'Message', id: string } | null };

export type ViewerFieldsFragment = { __typename: 'Viewer', id: string, email: string, availability: Availability, user: { __typename: 'User', bio: string | null, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } };

export type SettingsFieldsFragment = { defaultLevel: NotificationLevel, doNotDisturbUntil: string | null, pushPreview: PushPreview, emailDigest: boolean, locale: string | null, quietHours: { from: string, to: string, timeZone: string } | null };

export type TokenFieldsFragment = { accessToken: string, refreshToken: string | null };

export type LoginMutationVariables = Exact<{
  input: LoginInput;
}>;


export type LoginMutation = { login: { tokens: { accessToken: string, refreshToken: string | null }, viewer: { __typename: 'Viewer', id: string, email: string, availability: Availability, user: { __typename: 'User', bio: string | null, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } } | null };

export type RegisterMutationVariables = Exact<{
  input: RegisterInput;
}>;


export type RegisterMutation = { register: { tokens: { accessToken: string, refreshToken: string | null }, viewer: { __typename: 'Viewer', id: string, email: string, availability: Availability, user: { __typename: 'User', bio: string | null, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } } | null };

export type RefreshSessionMutationVariables = Exact<{
  input: RefreshSessionInput;
}>;


export type RefreshSessionMutation = { refreshSession: { tokens: { accessToken: string, refreshToken: string | null } } | null };

export type LogoutMutationVariables = Exact<{ [key: string]: never; }>;


export type LogoutMutation = { logout: { sessionId: string } | null };

export type SnapshotQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
}>;


export type SnapshotQuery = { viewer: { __typename: 'Viewer', syncCursor: string, id: string, email: string, availability: Availability, conversations: { nodes: Array<{ __typename: 'Conversation', id: string, kind: ConversationKind, title: string | null, description: string | null, imageUrl: string | null, visibility: ConversationVisibility, encryption: Encryption, historyVisibility: HistoryVisibility, memberCount: number, latestSeq: number, lastActivityAt: string, othersReadSeq: number | null, othersDeliveredSeq: number | null, viewerCanSend: boolean, viewerCanUpdate: boolean, viewerCanAddMembers: boolean, viewerCanPin: boolean, viewerCanJoin: boolean, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null, presence: { status: PresenceStatus, lastSeenAt: string | null } | null } | null, viewerMembership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, notificationLevel: NotificationLevel | null, mutedUntil: string | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null, lastMessage: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, clientMessageId: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null, user: { __typename: 'User', bio: string | null, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null };

export type OneConversationQueryVariables = Exact<{
  id: string;
}>;


export type OneConversationQuery = { conversation: { __typename: 'Conversation', id: string, kind: ConversationKind, title: string | null, description: string | null, imageUrl: string | null, visibility: ConversationVisibility, encryption: Encryption, historyVisibility: HistoryVisibility, memberCount: number, latestSeq: number, lastActivityAt: string, othersReadSeq: number | null, othersDeliveredSeq: number | null, viewerCanSend: boolean, viewerCanUpdate: boolean, viewerCanAddMembers: boolean, viewerCanPin: boolean, viewerCanJoin: boolean, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null, presence: { status: PresenceStatus, lastSeenAt: string | null } | null } | null, viewerMembership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, notificationLevel: NotificationLevel | null, mutedUntil: string | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null, lastMessage: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, clientMessageId: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null } | null };

export type PageQueryVariables = Exact<{
  id: string;
  first?: number | null | undefined;
  last?: number | null | undefined;
  aroundSeq?: number | null | undefined;
}>;


export type PageQuery = { conversation: { __typename: 'Conversation', id: string, latestSeq: number, messages: { nodes: Array<{ __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null }>, pageInfo: { hasPreviousPage: boolean, hasNextPage: boolean } } | null } | null };

export type PinnedQueryVariables = Exact<{
  id: string;
}>;


export type PinnedQuery = { conversation: { __typename: 'Conversation', id: string, pinnedMessages: Array<{ __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, pinnedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null }> } | null };

export type OpenDirectConversationMutationVariables = Exact<{
  input: OpenDirectConversationInput;
}>;


export type OpenDirectConversationMutation = { openDirectConversation: { conversation: { __typename: 'Conversation', id: string, kind: ConversationKind, title: string | null, description: string | null, imageUrl: string | null, visibility: ConversationVisibility, encryption: Encryption, historyVisibility: HistoryVisibility, memberCount: number, latestSeq: number, lastActivityAt: string, othersReadSeq: number | null, othersDeliveredSeq: number | null, viewerCanSend: boolean, viewerCanUpdate: boolean, viewerCanAddMembers: boolean, viewerCanPin: boolean, viewerCanJoin: boolean, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null, presence: { status: PresenceStatus, lastSeenAt: string | null } | null } | null, viewerMembership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, notificationLevel: NotificationLevel | null, mutedUntil: string | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null, lastMessage: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, clientMessageId: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null } } | null };

export type CreateGroupMutationVariables = Exact<{
  input: CreateGroupInput;
}>;


export type CreateGroupMutation = { createGroup: { conversation: { __typename: 'Conversation', id: string, kind: ConversationKind, title: string | null, description: string | null, imageUrl: string | null, visibility: ConversationVisibility, encryption: Encryption, historyVisibility: HistoryVisibility, memberCount: number, latestSeq: number, lastActivityAt: string, othersReadSeq: number | null, othersDeliveredSeq: number | null, viewerCanSend: boolean, viewerCanUpdate: boolean, viewerCanAddMembers: boolean, viewerCanPin: boolean, viewerCanJoin: boolean, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null, presence: { status: PresenceStatus, lastSeenAt: string | null } | null } | null, viewerMembership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, notificationLevel: NotificationLevel | null, mutedUntil: string | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null, lastMessage: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, clientMessageId: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null } } | null };

export type SendMessageMutationVariables = Exact<{
  input: SendMessageInput;
}>;


export type SendMessageMutation = { sendMessage: { message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } } | null };

export type EditMessageMutationVariables = Exact<{
  input: EditMessageInput;
}>;


export type EditMessageMutation = { editMessage: { message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } } | null };

export type DeleteMessageMutationVariables = Exact<{
  input: DeleteMessageInput;
}>;


export type DeleteMessageMutation = { deleteMessage: { message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } } | null };

export type AddReactionMutationVariables = Exact<{
  input: AddReactionInput;
}>;


export type AddReactionMutation = { addReaction: { message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } } | null };

export type RemoveReactionMutationVariables = Exact<{
  input: RemoveReactionInput;
}>;


export type RemoveReactionMutation = { removeReaction: { message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } } | null };

export type MarkReadMutationVariables = Exact<{
  input: MarkReadInput;
}>;


export type MarkReadMutation = { markRead: { membership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, conversation: { __typename: 'Conversation', id: string, latestSeq: number }, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } } | null };

export type AcknowledgeMutationVariables = Exact<{
  input: AcknowledgeInput;
}>;


export type AcknowledgeMutation = { acknowledge: { cursor: string } | null };

export type SetTypingMutationVariables = Exact<{
  input: SetTypingInput;
}>;


export type SetTypingMutation = { setTyping: { accepted: boolean } | null };

export type MessagesSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type MessagesSubscription = { messages: { type: MessageEventType, cursor: string, changeSeq: number | null, messageId: string | null, replayed: boolean, commit: { conversationId: string } | null, message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, conversation: { __typename: 'Conversation', id: string, latestSeq: number, lastActivityAt: string }, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null } };

export type ConversationsSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type ConversationsSubscription = { conversations: { type: ConversationEventType, cursor: string, changeSeq: number | null, replayed: boolean, conversationId: string | null, membershipId: string | null, userId: string | null, conversation: { __typename: 'Conversation', id: string, kind: ConversationKind, title: string | null, description: string | null, imageUrl: string | null, visibility: ConversationVisibility, encryption: Encryption, historyVisibility: HistoryVisibility, memberCount: number, latestSeq: number, lastActivityAt: string, othersReadSeq: number | null, othersDeliveredSeq: number | null, viewerCanSend: boolean, viewerCanUpdate: boolean, viewerCanAddMembers: boolean, viewerCanPin: boolean, viewerCanJoin: boolean, counterpart: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null, presence: { status: PresenceStatus, lastSeenAt: string | null } | null } | null, viewerMembership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, notificationLevel: NotificationLevel | null, mutedUntil: string | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null, lastMessage: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, deletedAt: string | null, clientMessageId: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null } | null, membership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null } };

export type ReceiptsSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type ReceiptsSubscription = { receipts: { type: ReceiptEventType, cursor: string, changeSeq: number | null, replayed: boolean, conversation: { __typename: 'Conversation', id: string, latestSeq: number, othersReadSeq: number | null, othersDeliveredSeq: number | null } | null, membership: { __typename: 'Membership', id: string, conversationId: string, role: MemberRole, readSeq: number | null, deliveredSeq: number | null, unreadCount: number | null, unreadMentionCount: number | null, unreadToSeq: number | null, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null } };

export type ContactsSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type ContactsSubscription = { contacts: { type: ContactEventType, cursor: string, changeSeq: number | null, replayed: boolean, user: { __typename: 'User', viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null } };

export type PeopleQueryVariables = Exact<{
  contacts: number;
  contactsAfter?: string | null | undefined;
  blocked: number;
  blockedAfter?: string | null | undefined;
}>;


export type PeopleQuery = { viewer: { __typename: 'Viewer', id: string, syncCursor: string, contacts: { nodes: Array<{ __typename: 'User', viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null, blockedUsers: { nodes: Array<{ __typename: 'User', viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null } | null };

export type AddContactMutationVariables = Exact<{
  input: AddContactInput;
}>;


export type AddContactMutation = { addContact: { contact: { __typename: 'User', viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null };

export type RemoveContactMutationVariables = Exact<{
  input: RemoveContactInput;
}>;


export type RemoveContactMutation = { removeContact: { contact: { __typename: 'User', viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null };

export type BlockUserMutationVariables = Exact<{
  input: BlockUserInput;
}>;


export type BlockUserMutation = { blockUser: { user: { __typename: 'User', viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null };

export type UnblockUserMutationVariables = Exact<{
  input: UnblockUserInput;
}>;


export type UnblockUserMutation = { unblockUser: { user: { __typename: 'User', viewerIsContact: boolean, viewerHasBlocked: boolean, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null };

export type DraftsQueryVariables = Exact<{ [key: string]: never; }>;


export type DraftsQuery = { viewer: { __typename: 'Viewer', syncCursor: string, id: string, email: string, availability: Availability, notificationSettings: { defaultLevel: NotificationLevel, doNotDisturbUntil: string | null, pushPreview: PushPreview, emailDigest: boolean, locale: string | null, quietHours: { from: string, to: string, timeZone: string } | null }, drafts: Array<{ __typename: 'Draft', id: string, text: string, updatedAt: string, conversation: { __typename: 'Conversation', id: string }, replyTo: { __typename: 'Message', id: string } | null }>, user: { __typename: 'User', bio: string | null, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null };

export type SaveDraftMutationVariables = Exact<{
  input: SaveDraftInput;
}>;


export type SaveDraftMutation = { saveDraft: { draft: { __typename: 'Draft', id: string, text: string, updatedAt: string, conversation: { __typename: 'Conversation', id: string }, replyTo: { __typename: 'Message', id: string } | null } | null } | null };

export type PinMessageMutationVariables = Exact<{
  input: PinMessageInput;
}>;


export type PinMessageMutation = { pinMessage: { message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } } | null };

export type UnpinMessageMutationVariables = Exact<{
  input: UnpinMessageInput;
}>;


export type UnpinMessageMutation = { unpinMessage: { message: { __typename: 'Message', id: string, seq: number, kind: MessageKind, text: string | null, createdAt: string, editedAt: string | null, deletedAt: string | null, editableUntil: string | null, pinnedAt: string | null, clientMessageId: string | null, mentionsEveryone: boolean, viewerReactions: Array<string>, replyCount: number, viewerCanEdit: boolean, viewerCanDelete: boolean, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, mentions: Array<{ __typename: 'User', id: string, username: string, displayName: string }>, reactions: Array<{ emoji: string, count: number }>, replyTo: { __typename: 'Message', id: string, seq: number, text: string | null, deletedAt: string | null, sender: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, attachments: Array<{ kind: AttachmentKind }>, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } | null, attachments: Array<{ id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> }>, statusReply: { excerpt: string | null } | null, systemEvent: { type: SystemEventType, oldValue: string | null, newValue: string | null, actor: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } | null, subjects: Array<{ displayName: string }> } | null, encrypted: { generation: number, epoch: number, content: string, device: { __typename: 'Device', id: string } } | null } } | null };

export type ViewerChangesSubscriptionVariables = Exact<{
  after?: string | null | undefined;
}>;


export type ViewerChangesSubscription = { viewerChanges: { type: ViewerChangeType, cursor: string, changeSeq: number | null, replayed: boolean, draftId: string | null, draft: { __typename: 'Draft', id: string, text: string, updatedAt: string, conversation: { __typename: 'Conversation', id: string }, replyTo: { __typename: 'Message', id: string } | null } | null, viewer: { __typename: 'Viewer', id: string, email: string, availability: Availability, notificationSettings: { defaultLevel: NotificationLevel, doNotDisturbUntil: string | null, pushPreview: PushPreview, emailDigest: boolean, locale: string | null, quietHours: { from: string, to: string, timeZone: string } | null }, user: { __typename: 'User', bio: string | null, id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } | null, membership: { __typename: 'Membership', id: string, notificationLevel: NotificationLevel | null, mutedUntil: string | null } | null } };

export type PresenceSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type PresenceSubscription = { presence: { user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null, presence: { status: PresenceStatus, lastSeenAt: string | null } | null } } };

export type TypingSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type TypingSubscription = { typing: { conversationId: string, isTyping: boolean, expiresAt: string, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } } };

export type StatusFieldsFragment = { __typename: 'Status', id: string, text: string | null, style: string | null, createdAt: string, expiresAt: string, viewerHasViewed: boolean, attachment: { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> } | null };

export type AudienceFieldsFragment = { mode: StatusAudienceMode, users: Array<{ __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }> };

export type StatusesSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type StatusesSubscription = { statuses: { type: StatusEventType, statusId: string | null, status: { __typename: 'Status', viewCount: number | null, id: string, text: string | null, style: string | null, createdAt: string, expiresAt: string, viewerHasViewed: boolean, author: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, attachment: { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> } | null } | null } };

export type StatusFeedQueryVariables = Exact<{ [key: string]: never; }>;


export type StatusFeedQuery = { viewer: { serverTime: string, statusFeed: Array<{ muted: boolean, author: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }, statuses: Array<{ __typename: 'Status', id: string, text: string | null, style: string | null, createdAt: string, expiresAt: string, viewerHasViewed: boolean, attachment: { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> } | null }> }> } | null };

export type OwnStatusesQueryVariables = Exact<{ [key: string]: never; }>;


export type OwnStatusesQuery = { viewer: { statusViewsReported: boolean, statusAudience: { mode: StatusAudienceMode, users: Array<{ __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }> }, statuses: Array<{ __typename: 'Status', viewCount: number | null, id: string, text: string | null, style: string | null, createdAt: string, expiresAt: string, viewerHasViewed: boolean, attachment: { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> } | null }> } | null };

export type StatusViewsQueryVariables = Exact<{
  id: string;
  first: number;
  after?: string | null | undefined;
}>;


export type StatusViewsQuery = { node:
    | { viewCount: number | null, views: { nodes: Array<{ viewedAt: string, user: { __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null } }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } | null }
    | Record<PropertyKey, never>
   | null };

export type StatusAudiencePreviewQueryVariables = Exact<{
  audience?: StatusAudienceInput | null | undefined;
  first: number;
  after?: string | null | undefined;
}>;


export type StatusAudiencePreviewQuery = { viewer: { statusAudiencePreview: { totalCount: number, nodes: Array<{ __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }>, pageInfo: { hasNextPage: boolean, endCursor: string | null } } } | null };

export type StatusOfMessageQueryVariables = Exact<{
  id: string;
}>;


export type StatusOfMessageQuery = { node:
    | { statusReply: { status: { __typename: 'Status', id: string } | null } | null }
    | Record<PropertyKey, never>
   | null };

export type PostStatusMutationVariables = Exact<{
  input: PostStatusInput;
}>;


export type PostStatusMutation = { postStatus: { status: { __typename: 'Status', viewCount: number | null, id: string, text: string | null, style: string | null, createdAt: string, expiresAt: string, viewerHasViewed: boolean, attachment: { id: string, kind: AttachmentKind, state: AttachmentState, filename: string, contentType: string, byteSize: number, width: number | null, height: number | null, durationMs: number | null, thumbHash: string | null, waveform: Array<number> | null, altText: string | null, path: string, variants: Array<{ name: string, path: string }> } | null } } | null };

export type DeleteStatusMutationVariables = Exact<{
  input: DeleteStatusInput;
}>;


export type DeleteStatusMutation = { deleteStatus: { statusId: string } | null };

export type MarkStatusesViewedMutationVariables = Exact<{
  input: MarkStatusesViewedInput;
}>;


export type MarkStatusesViewedMutation = { markStatusesViewed: { statuses: Array<{ __typename: 'Status', id: string }> } | null };

export type SetStatusAudienceMutationVariables = Exact<{
  input: StatusAudienceInput;
}>;


export type SetStatusAudienceMutation = { setStatusAudience: { viewer: { statusAudience: { mode: StatusAudienceMode, users: Array<{ __typename: 'User', id: string, username: string, displayName: string, avatarUrl: string | null, kind: UserKind, deletedAt: string | null }> } } } | null };

export type SetStatusViewsReportedMutationVariables = Exact<{
  input: SetStatusViewsReportedInput;
}>;


export type SetStatusViewsReportedMutation = { setStatusViewsReported: { viewer: { statusViewsReported: boolean } } | null };

export type MuteStatusesMutationVariables = Exact<{
  input: MuteStatusesInput;
}>;


export type MuteStatusesMutation = { muteStatuses: { user: { __typename: 'User', id: string } } | null };

