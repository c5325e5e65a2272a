import type { IncomingMessage, ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { create as contentDisposition } from 'content-disposition';
import { LRUCache } from 'lru-cache';
import parseRange from 'range-parser';
import { validate } from 'uuid';
import { badInput, ChatError, notFound, unauthenticated } from '../../core/errors.js';
import { Interrupted, type NodeUploads, type Part, WrongLength } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import type { HttpRoute } from '../../platform/http-routes.js';
import { defineLookup, defineService } from '../../platform/service.js';
import { authenticate } from '../session/session.authentication.js';
import { isPictureSignature } from '../user/picture.js';
import { requireMedia } from './media.files.js';
import { attachmentOwners } from './media.owners.js';
import { type Attachment, findOpenable, findPictures, originalOf, type Served } from './media.store.js';
import { uploadTokenOf, userOfMediaToken, userOfUploadToken } from './media.tokens.js';
import { partsOf, restOf } from './upload.parts.js';

const MEDIA_PREFIX = '/media/';

/** The path of the file of an attachment, or of one of its variants. */
export const mediaPath = (attachmentId: string, name = 'original'): string => `${MEDIA_PREFIX}${attachmentId}/${name}`;

/** The headers with which clients send parts. */
export const partHeaders = { 'content-type': 'application/octet-stream' } as const;

/** The URL to which a session sends a part of an upload. */
export async function partUrl(
  deps: Deps,
  sessionId: string,
  { id, storeKey, storeUploadId, partBytes }: Attachment,
  part: Part,
): Promise<string> {
  const { uploads } = requireMedia(deps);
  if (uploads.receiver === 'STORE') return uploads.partUrl(storeKey, storeUploadId ?? '', part, partHeaders);
  // Of a part that was interrupted, only the rest is sent.
  const from = part.offset - (part.number - 1) * partBytes;
  return `${MEDIA_PREFIX}uploads/${id}/${part.number}?${from > 0 ? `from=${from}&` : ''}t=${uploadTokenOf(deps, sessionId, id)}`;
}

/**
 * How long a node caches the results of permission checks, in milliseconds: the longest time until a removal takes
 * effect.
 */
const REMEMBERED_MS = 5_000;
const REMEMBERED_MAX = 20_000;

/** Browsers may show files of these types in a page. Everything else is downloaded. */
const inlineTypes = new Set([
  ...['image/jpeg', 'image/png', 'image/webp', 'image/gif', 'image/avif'],
  ...['video/mp4', 'video/webm', 'audio/mpeg', 'audio/mp4', 'audio/ogg', 'audio/webm', 'audio/wav'],
]);

const openable = defineLookup(
  'openable attachments',
  (deps, keys: readonly { userId: string; attachmentId: string }[]) =>
    findOpenable(deps.database.sql, attachmentOwners.of(deps), keys),
);

const pictures = defineLookup('uploaded pictures', ({ database }, ids: readonly string[]) =>
  findPictures(database.sql, ids),
);

/** The results of recent permission checks, because a page with many images sends many requests. */
const remembered = defineService(
  'openable attachments of the last seconds',
  () => new LRUCache<string, Promise<Served | null>>({ max: REMEMBERED_MAX, ttl: REMEMBERED_MS }),
);

/** How long browsers keep a file of a path whose bytes never change. */
const CACHE_FILES = 'private, max-age=31536000, immutable';
/** Shorter, so that pictures that were replaced leave caches soon. */
/** Clients ask again each time, because the permission ends at a certain time. */
const REVALIDATED = 'private, no-cache';
const CACHE_PICTURES = 'public, max-age=86400, immutable';
/** The variant that is served as a picture. */
const PICTURE_VARIANT = 'preview';

export const mediaRoute: HttpRoute = {
  prefix: MEDIA_PREFIX,
  methods: ['GET', 'HEAD', 'PUT'],
  bytesPerSecondMin: ({ uploadBytesPerSecondMin }) => uploadBytesPerSecondMin,
  exposedHeaders: ['accept-ranges', 'content-disposition', 'content-length', 'content-range', 'etag'],
  async respond(deps, { req, res, path, query }) {
    const [first = '', second = '', third, ...rest] = path.split('/');
    const isUpload = first === 'uploads' && third !== undefined;
    const isPicture = first === 'pictures' && third !== undefined;
    if (rest.length > 0 || (!isUpload && !isPicture && third !== undefined)) throw notFound('path', 'File');
    if (isUpload) {
      const { uploads } = requireMedia(deps);
      if (uploads.receiver !== 'NODE') throw notFound('path', 'File');
      if (!isMethod(req, res, 'PUT')) return;
      const [from, token] = [query.get('from') ?? '0', query.get('t') ?? ''];
      await receivePart(deps, uploads, req, { attachmentId: second, number: third, from, token });
      res.writeHead(204, { 'cache-control': 'no-store' }).end();
      return;
    }
    if (!isMethod(req, res, 'GET', 'HEAD')) return;
    req.resume();
    if (isPicture) await servePicture(deps, req, res, { attachmentId: second, signature: third });
    else await serveFile(deps, req, res, { attachmentId: first, name: second, token: query.get('t') });
  },
};

/** Whether the request has one of these methods. Otherwise, it is answered. */
function isMethod(req: IncomingMessage, res: ServerResponse, ...methods: string[]): boolean {
  if (methods.includes(req.method ?? '')) return true;
  req.resume();
  res.writeHead(405, { allow: methods.join(', '), 'cache-control': 'no-store' }).end();
  return false;
}

async function receivePart(
  deps: Deps,
  uploads: NodeUploads,
  req: IncomingMessage,
  place: { attachmentId: string; number: string; from: string; token: string },
): Promise<void> {
  const { attachmentId, token } = place;
  if (!validate(attachmentId)) throw notFound('path', 'Upload');
  const { db } = deps.database;
  const [uploaderId, attachment] = await Promise.all([
    userOfUploadToken(deps, token, attachmentId),
    db.attachment.findUnique({ where: { id: attachmentId } }),
  ]);
  const hasExpired = attachment?.expiresAt != null && attachment.expiresAt.getTime() < Date.now();
  if (attachment?.uploaderId !== uploaderId || hasExpired) throw notFound('path', 'Upload');
  const whole = partsOf(attachment).find((each) => String(each.number) === place.number);
  if (!whole) throw notFound('path', 'Part');
  // A retry of a part that arrived before the upload was completed.
  if (attachment.state !== 'UPLOADING') return void req.resume();
  const { number } = whole;
  const from = /^\d{1,9}$/.test(place.from) ? Number(place.from) : -1;
  if (from !== 0) {
    const known = await db.attachmentPart.findUnique({ where: { attachmentId_number: { attachmentId, number } } });
    // Otherwise bytes between what has arrived and this rest could be missing.
    const reached = known ? (known.receivedBytes ?? whole.byteSize) : 0;
    if (from < 0 || from >= whole.byteSize || from > reached) {
      throw new ChatError('CONFLICT', 'The beginning of this part is missing. Call `createUpload` again.', {
        field: 'from',
      });
    }
  }
  const part = restOf(whole, from);
  const { 'content-length': length } = req.headers;
  const wrongLength = () => badInput('body', `This part must have ${part.byteSize} bytes.`);
  if (length !== undefined && Number(length) !== part.byteSize) throw wrongLength();
  let receivedBytes: number | null = null;
  let interruption: Interrupted | undefined;
  try {
    await uploads.writePart(attachment.storeKey, part, req);
  } catch (error) {
    if (error instanceof WrongLength) throw wrongLength();
    if (!(error instanceof Interrupted)) throw error;
    interruption = error;
    receivedBytes = from + error.writtenBytes;
  }
  // Not if the upload has been completed or cancelled in the meantime.
  const count = await db.$executeRaw`
    INSERT INTO attachment_parts AS part (attachment_id, number, received_bytes)
    SELECT id, ${number}::int, ${receivedBytes}::int FROM attachments
    WHERE id = ${attachmentId}::uuid AND state = 'UPLOADING' FOR SHARE
    ON CONFLICT (attachment_id, number) DO UPDATE SET received_bytes = CASE
      WHEN part.received_bytes IS NOT NULL AND excluded.received_bytes IS NOT NULL
      THEN greatest(part.received_bytes, excluded.received_bytes) END`;
  const isDeleted = count === 0 && !(await db.attachment.findUnique({ where: { id: attachmentId } }));
  // Its bytes were deleted before this part was written.
  if (isDeleted) await requireMedia(deps).deleteAll(attachment.storeKey);
  if (interruption) throw interruption.cause;
}

/** The user who requests a file: from the query, or from the header of a client that can set one. */
async function userOf(deps: Deps, req: IncomingMessage, token: string | null): Promise<string> {
  if (token !== null) return (await userOfMediaToken(deps, token)).userId;
  const bearer = /^Bearer\s+(\S+)$/i.exec(req.headers.authorization ?? '')?.[1];
  if (bearer === undefined) throw unauthenticated('Append `?t=` and `viewer.mediaToken`, or send the access token.');
  return (await authenticate(deps, bearer)).userId;
}

/** Finds an attachment, or takes the result of the last seconds with the same key. */
function findRemembered(deps: Deps, key: string, find: () => Promise<Served | null>): Promise<Served | null> {
  const known = remembered.of(deps);
  let found = known.get(key);
  if (!found) {
    found = find();
    known.set(key, found);
    found.catch(() => known.delete(key));
    // An attachment that was not found may exist a moment later.
    void found.then(
      (served) => (served?.state !== 'READY' || !served.isLasting) && known.delete(key),
      () => {},
    );
  }
  return found;
}

async function serveFile(
  deps: Deps,
  req: IncomingMessage,
  res: ServerResponse,
  { attachmentId, name, token }: { attachmentId: string; name: string; token: string | null },
): Promise<void> {
  requireMedia(deps);
  const userId = await userOf(deps, req, token);
  if (!validate(attachmentId)) throw notFound('path', 'File');
  const find = () => openable.of(deps)({ userId, attachmentId });
  const served = await findRemembered(deps, `${userId} ${attachmentId}`, find);
  await sendFile(deps, req, res, served, name, served?.isLasting ? CACHE_FILES : REVALIDATED);
}

/** Serves the picture of a user or group, to everybody who has its signed URL. */
async function servePicture(
  deps: Deps,
  req: IncomingMessage,
  res: ServerResponse,
  { attachmentId, signature }: { attachmentId: string; signature: string },
): Promise<void> {
  requireMedia(deps);
  if (!isPictureSignature(deps, attachmentId, signature)) throw notFound('path', 'File');
  const served = await findRemembered(deps, attachmentId, () => pictures.of(deps)(attachmentId));
  await sendFile(deps, req, res, served, PICTURE_VARIANT, CACHE_PICTURES);
}

async function sendFile(
  deps: Deps,
  req: IncomingMessage,
  res: ServerResponse,
  served: Served | null,
  name: string,
  cacheControl: string,
): Promise<void> {
  const store = requireMedia(deps);
  if (served?.state !== 'READY') throw notFound('path', 'File');
  const variant = served.variants.find((each) => each.name === name);
  if (!variant && name !== 'original') throw notFound('path', 'File');
  const { contentType, byteSize } = variant ?? served;
  const isInline = served.kind !== 'FILE' && inlineTypes.has(contentType);
  const etag = `"${served.id}-${name}"`;
  res.setHeader('content-type', isInline ? contentType : 'application/octet-stream');
  const type = isInline ? 'inline' : 'attachment';
  res.setHeader('content-disposition', contentDisposition(served.filename, { type }));
  res.setHeader('cache-control', cacheControl);
  res.setHeader('etag', etag);
  res.setHeader('accept-ranges', 'bytes');
  res.setHeader('content-security-policy', "sandbox; default-src 'none'; frame-ancestors 'none'");
  res.setHeader('cross-origin-resource-policy', 'cross-origin');
  if (matches(req.headers['if-none-match'], etag)) {
    res.writeHead(304).end();
    return;
  }
  // A URL of the store can be used for a while after the permission has ended.
  const canRedirect = served.isLasting && !variant && req.method === 'GET' && isRedirected(deps, byteSize);
  if (store.urlOf && canRedirect) {
    const url = await store.urlOf(served.storeKey, originalOf(served), {
      contentType: String(res.getHeader('content-type')),
      contentDisposition: String(res.getHeader('content-disposition')),
      cacheControl,
    });
    // The URL expires, and the permission is checked at each request.
    res.setHeader('cache-control', 'no-store');
    res.writeHead(302, { location: url }).end();
    return;
  }
  const range = rangeOf(req, byteSize, etag);
  if (range === 'unsatisfiable') {
    res.writeHead(416, { 'content-range': `bytes */${byteSize}` }).end();
    return;
  }
  const { start, end } = range ?? { start: 0, end: byteSize - 1 };
  res.setHeader('content-length', end - start + 1);
  if (range) res.setHeader('content-range', `bytes ${start}-${end}/${byteSize}`);
  if (req.method === 'HEAD') {
    res.writeHead(range ? 206 : 200).end();
    return;
  }
  const bytes = await store.read(served.storeKey, variant?.name ?? originalOf(served), { start, end });
  // It was deleted in the last seconds.
  if (!bytes) throw notFound('path', 'File');
  res.writeHead(range ? 206 : 200);
  await pipeline(bytes, res);
}

const isRedirected = ({ config }: Deps, byteSize: number): boolean =>
  config.mediaRedirects && byteSize >= config.mediaRedirectMinBytes;

const matches = (header: string | undefined, etag: string): boolean =>
  header?.split(',').some((each) => ['*', etag, `W/${etag}`].includes(each.trim())) ?? false;

/**
 * The requested range; undefined for the whole file, also if several ranges are requested, which no browser does for
 * media.
 */
function rangeOf(
  { headers }: IncomingMessage,
  byteSize: number,
  etag: string,
): { start: number; end: number } | 'unsatisfiable' | undefined {
  const { range, 'if-range': condition } = headers;
  if (range === undefined || (condition !== undefined && condition !== etag)) return undefined;
  const ranges = parseRange(byteSize, range);
  if (ranges === -1) return 'unsatisfiable';
  if (ranges === -2 || ranges.type !== 'bytes' || ranges.length !== 1) return undefined;
  return ranges[0];
}
