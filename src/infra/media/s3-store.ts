import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { XmlElement } from '@rgrove/parse-xml';
import type { Availability } from './availability.js';
import { elementsOf, type LocalFile, type S3Client, S3Error, textOf } from './s3-client.js';
import { type DirectUploads, type MediaStore, type ReceivedPart, StoreUnavailable, WrongParts } from './store.js';

/** The minimum size that S3 allows for all parts but the last one, in bytes. */
const PART_BYTES_MIN = 5 * 1024 * 1024;
/** Local copies that are older belong to a process that was killed, in milliseconds. */
const COPY_AGE_MAX_MS = 86_400_000;

/** A store in a bucket of S3 or of a server with the same API, as `<prefix>ab12…/original`. */
export interface S3Store extends MediaStore {
  /**
   * Checks that the bucket and the directory exist and can be used, and deletes copies that killed processes have left.
   * @throws {StoreUnavailable} whose cause is an S3Error if the server has responded.
   * @throws {Error} because of the directory.
   */
  prepare(): Promise<void>;
}

/**
 * @param copiesDir a local directory for the copies of objects that are being processed.
 * @param prefix what the keys of all objects begin with: empty, or with a slash at its end.
 * @param uploadTtlMs how long clients can send a part to its URL.
 * @param readTtlMs how long clients can read an object at its URL.
 */
export function createS3Store(
  client: S3Client,
  {
    copiesDir,
    prefix,
    uploadTtlMs,
    readTtlMs,
    availability,
  }: { copiesDir: string; prefix: string; uploadTtlMs: number; readTtlMs: number; availability: Availability },
): S3Store {
  const objectKey = (key: string, name: string) => `${prefix}${key}/${name}`;
  const uploadKey = (key: string) => objectKey(key, 'upload');

  /** The pages of a list. Each begins where the last one has ended. */
  async function* pagesOf(
    query: Readonly<Record<string, string>>,
    next: (page: XmlElement) => Record<string, string>,
    key?: string,
  ): AsyncIterable<XmlElement> {
    for (let more: Record<string, string> | undefined = {}; more; ) {
      const page: XmlElement | undefined = await client.request({
        method: 'GET',
        ...(key !== undefined && { key }),
        query: { ...query, ...more },
      });
      if (!page) return;
      yield page;
      more = textOf(page, 'IsTruncated') === 'true' ? next(page) : undefined;
    }
  }

  const objectPages = (query: Readonly<Record<string, string>>) =>
    pagesOf({ 'list-type': '2', ...query }, (page) => ({
      'continuation-token': textOf(page, 'NextContinuationToken'),
    }));

  const uploadPages = (query: Readonly<Record<string, string>>) =>
    pagesOf({ uploads: '', ...query }, (page) => ({
      'key-marker': textOf(page, 'NextKeyMarker'),
      'upload-id-marker': textOf(page, 'NextUploadIdMarker'),
    }));

  const uploads: DirectUploads = {
    receiver: 'STORE',
    partBytesMin: PART_BYTES_MIN,
    async begin(key) {
      const begun = await client.request({
        method: 'POST',
        key: uploadKey(key),
        query: { uploads: '' },
        headers: { 'content-type': 'application/octet-stream' },
      });
      const id = textOf(begun, 'UploadId');
      if (id === '') throw new StoreUnavailable(new Error('The response contains no id of an upload.'));
      return id;
    },
    abort: (key, uploadId) => deleteObject(uploadKey(key), { uploadId }),
    abortAll,
    partUrl: (key, uploadId, { number, byteSize }, headers) =>
      client.presign(
        {
          method: 'PUT',
          key: uploadKey(key),
          query: { partNumber: String(number), uploadId },
          headers: { ...headers, 'content-length': String(byteSize) },
        },
        uploadTtlMs,
      ),
    async received(key, uploadId) {
      const parts: ReceivedPart[] = [];
      const pages = pagesOf(
        { uploadId },
        (page) => ({ 'part-number-marker': textOf(page, 'NextPartNumberMarker') }),
        uploadKey(key),
      );
      try {
        for await (const page of pages) {
          for (const part of elementsOf(page, 'Part')) {
            const [number, byteSize] = [Number(textOf(part, 'PartNumber')), Number(textOf(part, 'Size'))];
            parts.push({ number, byteSize, tag: textOf(part, 'ETag') });
          }
        }
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
      return parts;
    },
    async complete(key, uploadId, parts) {
      const list = parts
        .toSorted((one, other) => one.number - other.number)
        .map(({ number, tag }) => `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(tag)}</ETag></Part>`);
      try {
        await client.request({
          method: 'POST',
          key: uploadKey(key),
          query: { uploadId },
          headers: { 'content-type': 'application/xml' },
          body: `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`,
        });
      } catch (error) {
        if (error instanceof S3Error) throw new WrongParts(error.message, { cause: error });
        throw error;
      }
    },
  };

  /** Deletes an object, or aborts an upload. */
  async function deleteObject(key: string, query: Readonly<Record<string, string>> = {}): Promise<void> {
    try {
      await client.request({ method: 'DELETE', key, query });
    } catch (error) {
      // Servers differ in whether this is an error.
      if (!isMissing(error)) throw error;
    }
  }

  async function deleteAll(key: string): Promise<void> {
    for await (const page of objectPages({ prefix: objectKey(key, '') })) {
      await Promise.all(elementsOf(page, 'Contents').map((object) => deleteObject(textOf(object, 'Key'))));
    }
    await abortAll(key);
  }

  async function abortAll(key: string): Promise<void> {
    // With the whole key as prefix, because some servers find no uploads with a shorter one.
    for await (const page of uploadPages({ prefix: uploadKey(key) })) {
      for (const upload of elementsOf(page, 'Upload')) {
        await deleteObject(textOf(upload, 'Key'), { uploadId: textOf(upload, 'UploadId') });
      }
    }
  }

  /** Downloads an object to a new file. */
  async function download(key: string, path: string): Promise<void> {
    const response = await client.open({ method: 'GET', key });
    try {
      await pipeline(response, createWriteStream(path, { mode: 0o600 }));
    } catch (error) {
      throw isOfDisk(error) ? error : new StoreUnavailable(error);
    }
  }

  return {
    uploads,
    async withFile(key, name, use) {
      await mkdir(copiesDir, { recursive: true, mode: 0o700 });
      const folder = await mkdtemp(join(copiesDir, 'copy-'));
      try {
        const path = join(folder, name);
        await download(objectKey(key, name), path);
        return await use(path);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    },
    async put(key, name, path) {
      await client.request({
        method: 'PUT',
        key: objectKey(key, name),
        headers: { 'content-type': 'application/octet-stream' },
        body: await describeFile(path),
      });
    },
    remove: (key, name) => deleteObject(objectKey(key, name)),
    async read(key, name, { start, end }) {
      try {
        const range = `bytes=${start}-${end}`;
        const response = await client.open({ method: 'GET', key: objectKey(key, name), headers: { range } });
        const length = Number(response.headers['content-length']);
        if (length === end - start + 1) return response;
        response.destroy();
        throw new StoreUnavailable(new Error(`The store sends ${length} bytes instead of ${range}.`));
      } catch (error) {
        // It is missing or damaged.
        if (error instanceof S3Error) return undefined;
        throw error;
      }
    },
    urlOf: (key, name, { contentType, contentDisposition, cacheControl }) =>
      client.presign(
        {
          method: 'GET',
          key: objectKey(key, name),
          query: {
            'response-content-type': contentType,
            'response-content-disposition': contentDisposition,
            'response-cache-control': cacheControl,
          },
        },
        readTtlMs,
      ),
    async size(key, name) {
      try {
        const response = await client.open({ method: 'HEAD', key: objectKey(key, name) });
        response.resume();
        return Number(response.headers['content-length']);
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    deleteAll,
    async *keys() {
      const keyIn = (text: string) => text.slice(prefix.length).split('/')[0] ?? '';
      for await (const page of objectPages({ prefix, delimiter: '/' })) {
        for (const folder of elementsOf(page, 'CommonPrefixes')) yield keyIn(textOf(folder, 'Prefix'));
      }
      for await (const page of uploadPages({ prefix })) {
        for (const upload of elementsOf(page, 'Upload')) yield keyIn(textOf(upload, 'Key'));
      }
    },
    async isAvailable() {
      if (availability.isAvailable) return true;
      // The client reports the outcome to `availability`.
      await client.request({ method: 'GET', query: { 'list-type': '2', 'max-keys': '1', prefix } }).catch(() => {});
      return availability.isAvailable;
    },
    async prepare() {
      await mkdir(copiesDir, { recursive: true, mode: 0o700 });
      await removeOldCopies(copiesDir);
      await client.request({ method: 'GET', query: { 'list-type': '2', 'max-keys': '1', prefix } });
      await client.request({ method: 'GET', query: { uploads: '', 'max-uploads': '1', prefix } });
      // The key has the form of an attachment's, so that `npm run media -- verify` finds the bytes if the process is
      // killed here.
      const key = randomBytes(16).toString('hex');
      await client.request({ method: 'PUT', key: objectKey(key, 'upload'), body: 'test' });
      await deleteObject(objectKey(key, 'upload'));
    },
    close: () => client.close(),
  };
}

/** Deletes the copies that killed processes have left. Other processes can use the same directory. */
async function removeOldCopies(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    const changedAt = (await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - changedAt > COPY_AGE_MAX_MS) await rm(path, { recursive: true, force: true });
  }
}

async function describeFile(path: string): Promise<LocalFile> {
  const { size: byteSize } = await stat(path);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return { path, byteSize, sha256: hash.digest('hex') };
}

/** Whether the object, the upload, or the end of the range does not exist. */
const isMissing = (error: unknown): boolean =>
  error instanceof S3Error && ['NoSuchKey', 'NoSuchUpload', 'InvalidRange'].includes(error.code);

/** Whether writing a local file has failed. */
const isOfDisk = (error: unknown): boolean =>
  ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS', 'EACCES', 'EMFILE', 'ENOENT'].includes(
    String((error as NodeJS.ErrnoException).code),
  );

const escapeXml = (text: string): string => text.replace(/[<>&"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
