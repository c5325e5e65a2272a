import { gone } from '../../core/errors.js';
import { encodeGlobalId, idOf, NOBODYS_ID } from '../../core/ids.js';
import { builder } from '../../graphql/builder.js';
import { forwardArgs } from '../../graphql/connection.js';
import { type Context, viewerOf } from '../../graphql/context.js';
import { atMost } from '../../graphql/costs.js';
import { defineListLoader, defineLoader } from '../../graphql/loader.js';
import { addViewerMutation, payloadOf } from '../../graphql/mutation.js';
import { shared, sharedField } from '../../graphql/sharing.js';
import type { Part } from '../../infra/media/store.js';
import { Conversation } from '../conversation/conversation.schema.js';
import { addSendMessageField, Message, type Preloaded } from '../message/message.schema.js';
import { attachmentOfPicture } from '../user/picture.js';
import { User, Viewer } from '../user/user.schema.js';
import { attachmentOwners } from './media.owners.js';
import { mediaPath, partHeaders, partUrl } from './media.routes.js';
import { listAttachments } from './media.service.js';
import {
  type Attachment as AttachmentRow,
  type AttachmentsPage,
  findAttachments,
  findMessages,
  findPages,
  findPictures,
  findVisibleAttachments,
  type Listed,
  readUsage,
  type Variant,
} from './media.store.js';
import { mediaTokenOf } from './media.tokens.js';
import { cancelUpload, completeUpload, createUpload, type Upload } from './upload.service.js';

const AttachmentKind = builder.enumType('AttachmentKind', {
  description: 'What a file is. Treat an unknown value like FILE.',
  values: {
    IMAGE: { description: 'A JPEG, PNG, WebP, GIF or AVIF image.' },
    VIDEO: { description: 'A video, in MP4 or WebM when it is READY.' },
    AUDIO: { description: 'A sound recording: MP3, MP4, Ogg, WebM or WAV.' },
    VOICE: { description: 'A voice message, in the formats of AUDIO.' },
    FILE: { description: 'Any file. It is kept byte for byte and never shown inside a page.' },
  },
});

const AttachmentState = builder.enumType('AttachmentState', {
  description: 'The processing state of an attachment. Treat an unknown value like PROCESSING.',
  values: {
    UPLOADING: { description: 'Parts of the file are missing, or `completeUpload` has not been called.' },
    PROCESSING: { description: 'The file is being checked and converted. A message can be sent with it.' },
    READY: { description: 'The file can be opened.' },
    REJECTED: { description: 'The file is not what it claims to be, unsafe or unreadable. It cannot be opened.' },
  },
});

const AttachmentVariant = builder.objectRef<Variant & { attachmentId: string }>('AttachmentVariant').implement({
  description: 'A smaller version of an attachment.',
  extensions: shared('name', 'contentType', 'width', 'height', 'byteSize', 'path'),
  fields: (t) => ({
    name: t.exposeString('name', {
      nullable: false,
      description:
        'The name of the version: `preview` (at most 1280 pixels on a side), `thumbnail` (at most 320), or `poster` (of a video).',
    }),
    contentType: t.exposeString('contentType', { nullable: false, description: 'The media type of the version.' }),
    width: t.exposeInt('width', { nullable: false, description: 'The width in pixels.' }),
    height: t.exposeInt('height', { nullable: false, description: 'The height in pixels.' }),
    byteSize: t.exposeInt('byteSize', { nullable: false, description: 'The size in bytes.' }),
    path: t.string({
      nullable: false,
      description: 'The path at which the version can be opened, like `Attachment.path`.',
      resolve: ({ attachmentId, name }) => mediaPath(attachmentId, name),
    }),
  }),
});

const loadIsVisible = defineLoader((context, ids) =>
  findVisibleAttachments(context.deps.database.db, attachmentOwners.of(context.deps), viewerOf(context).userId, ids),
);

export const Attachment = builder.prismaNode('Attachment', {
  id: { field: 'id' },
  nullable: true,
  // The id of an attachment that the viewer cannot see is replaced by one that does not exist.
  findUnique: async (id, context) => ({ id: (await loadIsVisible(context, id)) ? id : NOBODYS_ID }),
  description: 'A file of a message, the picture of a user or group, or an upload of the viewer.',
  extensions: shared(
    ...['id', 'kind', 'state', 'filename', 'contentType', 'byteSize', 'width', 'height'],
    ...['durationMs', 'thumbHash', 'waveform', 'altText', 'path', 'variants'],
  ),
  fields: (t) => ({
    kind: t.expose('kind', {
      type: AttachmentKind,
      nullable: false,
      description: 'The kind of the file, as the uploader declared it.',
    }),
    state: t.expose('state', {
      type: AttachmentState,
      nullable: false,
      description:
        'How far the file has been processed. A change to READY or REJECTED is delivered as a MEDIA event of the message.',
    }),
    filename: t.exposeString('filename', {
      nullable: false,
      description: 'The name of the file, without a path: at most 255 characters.',
    }),
    contentType: t.exposeString('contentType', {
      nullable: false,
      description:
        'The media type of the content. It is `application/octet-stream` for unknown content, and until the attachment is READY.',
    }),
    byteSize: t.exposeInt('byteSize', {
      nullable: false,
      description: 'The size in bytes. It can change when the attachment becomes READY, because metadata is removed.',
    }),
    width: t.exposeInt('width', {
      description:
        'The width of an image or video in pixels, after its orientation has been applied. It is null if it is not known.',
    }),
    height: t.exposeInt('height', {
      description:
        'The height of an image or video in pixels, after its orientation has been applied. It is null if it is not known.',
    }),
    durationMs: t.exposeInt('durationMs', {
      description: 'The length of a video or recording in milliseconds. It is null if it is not known.',
    }),
    thumbHash: t.exposeString('thumbHash', {
      description:
        'A [ThumbHash](https://evanw.github.io/thumbhash/) of an image in base64, to show until the image is loaded. It is null if there is none.',
    }),
    waveform: t.intList({
      description: 'The loudness of a recording: 64 peaks from 0 to 100. It is null if it is not known.',
      // 64 numbers are no longer than a text, which counts as one field.
      extensions: atMost(1),
      nullable: { list: true, items: false },
      resolve: ({ waveform }) => (waveform.length === 0 ? null : waveform),
    }),
    altText: t.exposeString('altText', { description: 'The alternative text that the uploader gave, or null.' }),
    path: t.string({
      nullable: false,
      description:
        'Where the file can be opened when it is READY: a path of this server, the same for every viewer. Append `?t=` and `viewer.mediaToken`, or send the access token in the Authorization header.',
      resolve: ({ id }) => mediaPath(id),
    }),
    variants: t.field({
      type: [AttachmentVariant],
      extensions: atMost(3),
      nullable: { list: false, items: false },
      description:
        'Smaller versions of an image, or a still image of a video (not on all servers). The list is empty until the attachment is READY.',
      resolve: ({ id, variants }) => (variants as unknown as Variant[]).map((each) => ({ ...each, attachmentId: id })),
    }),
  }),
});

/** The attachments of messages that have some, of a whole page in one statement. */
const loadAttachments = defineListLoader((context, ids, _wanted: null) =>
  findAttachments(
    context.deps.database.db,
    ids.map((id) => ({ id, attachmentCount: 1 })),
  ),
);

/** All fields are resolved from what was loaded: other columns are not needed. */
const rows = (infos: readonly object[]) => infos as AttachmentRow[];

/** The pictures of a whole page in one statement. */
const loadPicture = defineLoader((context, ids) => findPictures(context.deps.database.sql, ids));

const pictureOf = (context: Context, stored: string | null): Promise<AttachmentRow | null> | null => {
  const id = attachmentOfPicture(stored);
  return id === null ? null : (loadPicture(context, id) as Promise<AttachmentRow | null>);
};

builder.prismaObjectField(User, 'avatar', (t) =>
  t.field({
    type: Attachment,
    description:
      "The user's picture if it was uploaded (`avatarAttachmentId`), with its variants and its `thumbHash`; otherwise null. Every signed-in user can open it.",
    extensions: sharedField,
    resolve: ({ avatarUrl }, _args, context) => pictureOf(context, avatarUrl),
  }),
);

builder.prismaObjectField(Conversation, 'image', (t) =>
  t.field({
    type: Attachment,
    description: "The group's picture if it was uploaded (`imageAttachmentId`); otherwise null.",
    extensions: sharedField,
    resolve: ({ imageUrl }, _args, context) => pictureOf(context, imageUrl),
  }),
);

builder.prismaObjectField(Message, 'attachments', (t) =>
  t.field({
    type: [Attachment],
    nullable: { list: false, items: false },
    description: 'The files of the message, in the order of `attachmentIds`. The list is empty for a deleted message.',
    extensions: { ...sharedField, ...atMost('attachmentsMax') },
    resolve({ id, attachmentCount, parts }: Preloaded, _args, context) {
      if (attachmentCount === 0) return [];
      return parts?.attachments ? rows([...parts.attachments]) : loadAttachments(context, id, null).then(rows);
    },
  }),
);

addSendMessageField(
  'attachmentIds',
  (t) =>
    t.idList({
      description:
        'Uploads of the sender that are PROCESSING or READY, at most `serverInfo.limits.attachmentsMax`. Each upload can be used in only one message. With attachments, `text` can be absent.',
    }),
  (ids) => ids.map((id, index) => idOf('Attachment', id, `input.attachmentIds.${index}`)),
);

const loadMessage = defineLoader((context, ids) => findMessages(context.deps.database.db, ids));

const AttachmentConnection = builder.connectionObject(
  { type: Attachment, name: 'AttachmentConnection' },
  {
    name: 'AttachmentEdge',
    fields: (t) => ({
      message: t.field({
        type: Message,
        nullable: false,
        description: 'The message that contains the attachment.',
        resolve: ({ node }, _args, context) =>
          loadMessage(context, (node as unknown as Listed).messageId).then((message) => message ?? gone('Message')),
      }),
    }),
  },
);

/** Loads the same page of many conversations in one statement. */
const loadPages = defineListLoader((context, ids, page: AttachmentsPage) =>
  findPages(context.deps.database.sql, viewerOf(context).userId, ids, page),
);

builder.prismaObjectField(Conversation, 'attachments', (t) =>
  t.field({
    type: AttachmentConnection,
    description:
      'The files of the messages that the viewer can see, newest first. The list is empty if the viewer is not a member.',
    args: {
      kind: t.arg({ type: AttachmentKind, description: 'Only attachments of this kind.' }),
      ...forwardArgs,
    },
    resolve: (conversation, args, context) =>
      listAttachments(context.deps, conversation, args, (id, page) => loadPages(context, id, page)) as never,
  }),
);

const MediaUsage = builder.objectRef<{ bytes: number; maxBytes: number }>('MediaUsage').implement({
  description: 'The storage space that the files of a user occupy.',
  fields: (t) => ({
    bytes: t.exposeFloat('bytes', {
      nullable: false,
      description: 'The size of all files that the user has uploaded and not deleted, in bytes.',
    }),
    maxBytes: t.exposeFloat('maxBytes', { description: 'The maximum of `bytes`, or null if there is none.' }),
  }),
});

const loadUsage = defineLoader((context, ids) => Promise.all(ids.map((id) => readUsage(context.deps.database.db, id))));

builder.prismaObjectFields(Viewer, (t) => ({
  mediaToken: t.string({
    nullable: false,
    description:
      'The token that opens the paths of attachments that the viewer can see, for `<img>` and `<video>`, which cannot send headers. It stays the same for a day, is accepted until the end of the next day (UTC), and ends with the session.',
    resolve: (_user, _args, context) => mediaTokenOf(context.deps, viewerOf(context).sessionId),
  }),
  mediaUsage: t.field({
    type: MediaUsage,
    nullable: false,
    description: 'The storage space that the files of the viewer occupy.',
    resolve: async ({ id }, _args, context) => ({
      bytes: (await loadUsage(context, id))?.bytes ?? 0,
      maxBytes: context.deps.config.mediaQuotaBytes,
    }),
  }),
}));

/** The maximum number of missing parts in one response. */
const PARTS_MAX = 100;

const HttpHeader = builder.objectRef<{ name: string; value: string }>('HttpHeader').implement({
  description: 'A header of an HTTP request.',
  fields: (t) => ({
    name: t.exposeString('name', { nullable: false, description: 'The name of the header.' }),
    value: t.exposeString('value', { nullable: false, description: 'The value of the header.' }),
  }),
});

const UploadPart = builder.objectRef<Part & { url: string }>('UploadPart').implement({
  description: 'A part of a file that has to be sent: PUT these bytes of the file to `url` with `headers`.',
  fields: (t) => ({
    number: t.exposeInt('number', { nullable: false, description: 'The number of the part, from 1.' }),
    offset: t.exposeInt('offset', { nullable: false, description: 'The first byte of the part, from 0.' }),
    byteSize: t.exposeInt('byteSize', { nullable: false, description: 'The number of bytes of the part.' }),
    url: t.exposeString('url', {
      nullable: false,
      description:
        'Where to send the part. A URL that begins with `/` is relative to this server. Any other URL belongs to the file storage of the server and expires: call `createUpload` again if the part is rejected.',
    }),
    headers: t.field({
      type: [HttpHeader],
      extensions: atMost(1),
      nullable: { list: false, items: false },
      description: 'The headers to send.',
      resolve: () => Object.entries(partHeaders).map(([name, value]) => ({ name, value })),
    }),
  }),
});

const UploadObject = builder.objectRef<Upload>('Upload').implement({
  description: 'A file that is being uploaded.',
  fields: (t) => ({
    attachment: t.field({
      type: Attachment,
      nullable: false,
      description: 'The attachment that the file becomes.',
      resolve: ({ attachment }) => attachment,
    }),
    missingParts: t.field({
      type: [UploadPart],
      extensions: atMost(PARTS_MAX),
      nullable: { list: false, items: false },
      description: `The first ${PARTS_MAX} parts that have not been received completely. Of a part whose connection was lost, only the rest is missing. The parts can be sent in any order, several at once. Call \`createUpload\` again for further ones.`,
      resolve: ({ attachment, missingParts }, _args, context) => {
        const { sessionId } = viewerOf(context);
        return Promise.all(
          missingParts
            .slice(0, PARTS_MAX)
            .map(async (part) => ({ ...part, url: await partUrl(context.deps, sessionId, attachment, part) })),
        );
      },
    }),
    expiresAt: t.field({
      type: 'DateTime',
      nullable: false,
      description: 'When the upload is deleted unless it is used by then, in a message or as a picture.',
      resolve: ({ attachment }) => attachment.expiresAt ?? attachment.createdAt,
    }),
  }),
});

addViewerMutation('createUpload', {
  description:
    'Begins the upload of a file, or continues it after an interruption: it is idempotent by `clientUploadId`. Send the missing parts, then call `completeUpload`. The error is PAYLOAD_TOO_LARGE if the file is larger than `serverInfo.limits.attachmentMaxBytes`; FORBIDDEN if the viewer has no space left (`viewer.mediaUsage`) or too many open uploads; CONFLICT if the key was used with different input (except for `altText`, which can be changed until the upload is used, and `waveform`); UNAVAILABLE if `serverInfo.features` does not contain `media`.',
  input: (t) => ({
    clientUploadId: t.string({
      required: true,
      description: 'A key that the client chooses for this file: at most 128 characters, unique per user.',
    }),
    kind: t.field({
      type: AttachmentKind,
      required: true,
      description:
        'How the file is to be treated. A file whose content does not match is REJECTED when it is processed.',
    }),
    filename: t.string({
      required: true,
      description: 'The name of the file: 1 to 255 characters. A leading path is removed.',
    }),
    byteSize: t.int({ required: true, description: 'The size of the file in bytes.' }),
    sha256: t.string({
      description: 'The SHA-256 hash of the file in hexadecimal digits. A file with a different hash is REJECTED.',
    }),
    altText: t.string({
      description: 'An alternative text for people who cannot see the image: up to 1000 characters.',
    }),
    waveform: t.intList({
      description:
        'The loudness of a recording as the client has measured it: 64 peaks from 0 to 100. It is used until the file has been processed, and stays if the server cannot decode the recording.',
    }),
  }),
  payload: payloadOf((t) => ({
    upload: t.field({ type: UploadObject, nullable: false, description: 'The upload with its missing parts.' }),
  })),
  run: async (deps, viewer, input) => ({ upload: await createUpload(deps, viewer, input) }),
});

const attachmentPayload = payloadOf((t) => ({
  attachment: t.field({ type: Attachment, nullable: false, description: 'The attachment.' }),
}));

addViewerMutation('completeUpload', {
  description:
    'Completes an upload whose parts have all been sent. The file is then PROCESSING, and can be used in a message or as a picture. It is idempotent. The error is CONFLICT if parts are missing: call `createUpload` again to find out which.',
  input: (t) => ({ attachmentId: t.id({ required: true, description: 'An upload of the viewer.' }) }),
  ids: { attachmentId: 'Attachment' },
  payload: attachmentPayload,
  run: async (deps, viewer, { attachmentId }) => ({ attachment: await completeUpload(deps, viewer, attachmentId) }),
});

addViewerMutation('cancelUpload', {
  description:
    'Deletes an upload of the viewer with its bytes. The error is CONFLICT if a message contains it (delete the message instead), or if it is the picture of a user or group.',
  input: (t) => ({ attachmentId: t.id({ required: true, description: 'An upload of the viewer.' }) }),
  ids: { attachmentId: 'Attachment' },
  payload: payloadOf((t) => ({
    attachmentId: t.id({ nullable: false, description: 'The id of the deleted attachment.' }),
  })),
  async run(deps, viewer, { attachmentId }) {
    await cancelUpload(deps, viewer, attachmentId);
    return { attachmentId: encodeGlobalId('Attachment', attachmentId) };
  },
});
