import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { parseXml, XmlElement } from '@rgrove/parse-xml';
import { AwsV4Signer } from 'aws4fetch';
import type { Availability } from './availability.js';
import { StoreUnavailable } from './store.js';

/** A bucket, and how it is reached. */
export interface S3Bucket {
  /** A URL without a slash at its end. */
  endpoint: string;
  /** Where clients reach the same server. */
  publicEndpoint: string;
  region: string;
  bucket: string;
  /** Whether the bucket is a part of the path of URLs. Otherwise, it is the first label of their host. */
  isInPath: boolean;
  accessKeyId: string;
  secretAccessKey: string;
}

interface S3Request {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  /** The key of an object. Without it, the request is about the bucket. */
  key?: string;
  query?: Readonly<Record<string, string>>;
  headers?: Readonly<Record<string, string>>;
  body?: string | LocalFile;
}

/** A local file to send. */
export interface LocalFile {
  path: string;
  byteSize: number;
  /** In hexadecimal digits. */
  sha256: string;
}

/** An error with which a server that works has responded, because of the object or the upload of the request. */
export class S3Error extends Error {
  override name = 'S3Error';
  readonly status: number;
  /** Such as `NoSuchKey`; empty if the response has none. */
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(`${code || status}: ${message}`);
    this.status = status;
    this.code = code;
  }
}

/** The server has sent nothing for a while. */
class TimedOut extends Error {}

/** Sends signed requests to a bucket. Requests that fail because of the server are repeated a few times. */
export interface S3Client {
  /**
   * @returns the body of the response; undefined if it is empty.
   * @throws {S3Error} because of the object or the upload.
   * @throws {StoreUnavailable} for all other reasons; the cause is an S3Error if the server has responded.
   */
  request(request: S3Request): Promise<XmlElement | undefined>;
  /**
   * The response when its headers have arrived. Its body must be read or destroyed.
   * @throws {S3Error} as above.
   * @throws {StoreUnavailable} as above.
   */
  open(request: S3Request): Promise<IncomingMessage>;
  /** A URL with which everybody can send a request for some time, if it has exactly these headers. */
  presign(request: Pick<S3Request, 'method' | 'key' | 'query' | 'headers'>, ttlMs: number): Promise<string>;
  /** Attempts since the start, by outcome. */
  readonly counts: { readonly ok: number; readonly retried: number; readonly failed: number };
  /** Ends requests in progress, which fail. */
  close(): void;
}

/** The number of times that a request is sent at most. */
const ATTEMPTS_MAX = 3;
/** The pause before the second attempt, in milliseconds. It doubles with each further one. */
const RETRY_MS = 100;
/** The maximum size of a body that is parsed, in bytes: a page of a list has at most 1,000 entries. */
const BODY_MAX = 4 * 1024 * 1024;
const FREE_SOCKETS_MAX = 16;

/** Errors because of what is stored, which callers expect. */
const objectErrors = new Set([
  ...['NoSuchKey', 'InvalidRange', 'NoSuchUpload', 'InvalidPart', 'InvalidPartOrder', 'EntityTooSmall'],
]);
/** Errors with a status below 500 that can be absent at the next attempt. */
const temporaryErrors = new Set(['SlowDown', 'RequestTimeout', 'OperationAborted', 'InternalError']);

/** @param timeoutMs how long the server may send nothing while a response is expected. */
export function createS3Client(
  bucket: S3Bucket,
  { timeoutMs, availability }: { timeoutMs: number; availability: Availability },
): S3Client {
  const closing = new AbortController();
  const options = { keepAlive: true, maxFreeSockets: FREE_SOCKETS_MAX };
  const agents = { 'http:': new http.Agent(options), 'https:': new https.Agent(options) };
  const counts = { ok: 0, retried: 0, failed: 0 };
  const keys = { accessKeyId: bucket.accessKeyId, secretAccessKey: bucket.secretAccessKey };
  /** The signing key of each day. */
  const cache = new Map<string, ArrayBuffer>();

  async function sign(
    url: URL,
    { method, headers = {} }: Pick<S3Request, 'method' | 'headers'>,
    { inQuery }: { inQuery: boolean },
  ): Promise<{ url: URL; headers: Headers }> {
    const signed = await new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers },
      ...keys,
      region: bucket.region,
      service: 's3',
      signQuery: inQuery,
      // Otherwise, the lengths of bodies would not be signed.
      allHeaders: true,
      cache,
    }).sign();
    // Not every server reads `+` as a space, and signatures are of `%20`.
    signed.url.search = signed.url.search.replaceAll('+', '%20');
    return signed;
  }

  /** Sends a request once. */
  async function send(request: S3Request): Promise<IncomingMessage> {
    const { method, headers = {}, body = '' } = request;
    const isText = typeof body === 'string';
    const hasBody = method === 'PUT' || method === 'POST';
    const given = {
      ...headers,
      ...(hasBody && { 'content-length': String(isText ? Buffer.byteLength(body) : body.byteSize) }),
      'x-amz-content-sha256': isText ? createHash('sha256').update(body).digest('hex') : body.sha256,
    };
    const signed = await sign(urlOf(bucket, bucket.endpoint, request), { method, headers: given }, { inQuery: false });
    const { protocol } = signed.url;
    const isPlain = protocol === 'http:';
    return new Promise((resolve, reject) => {
      const sent = (isPlain ? http : https).request(signed.url, {
        method,
        headers: Object.fromEntries(signed.headers),
        agent: agents[isPlain ? 'http:' : 'https:'],
        signal: closing.signal,
      });
      let received: IncomingMessage | undefined;
      sent.setTimeout(timeoutMs, () => {
        // The reader of the body is slower than the server.
        if (received && received.readableLength > 0) return;
        (received ?? sent).destroy(new TimedOut(`The server has sent nothing for ${timeoutMs} ms.`));
      });
      sent.on('error', reject);
      sent.on('response', (response) => {
        received = response;
        resolve(response);
      });
      if (isText) sent.end(body);
      else pipeline(createReadStream(body.path), sent).catch(reject);
    });
  }

  async function attempt(request: S3Request): Promise<IncomingMessage> {
    const response = await send(request);
    const { statusCode: status = 0 } = response;
    if (status >= 200 && status < 300) return response;
    throw errorOf(status, await readBody(response), request.method);
  }

  async function run<Result>(
    request: S3Request,
    use: (response: IncomingMessage) => Promise<Result> | Result,
  ): Promise<Result> {
    for (let tries = 1; ; tries += 1) {
      try {
        const result = await use(await attempt(request));
        counts.ok += 1;
        availability.succeeded();
        return result;
      } catch (error) {
        if (isOfObject(error)) {
          counts.ok += 1;
          availability.succeeded();
          throw error;
        }
        if (isOfLocalFile(error)) throw error;
        if (closing.signal.aborted) throw new StoreUnavailable(error);
        if (tries === ATTEMPTS_MAX || !isTemporary(error)) {
          counts.failed += 1;
          availability.failed(error);
          throw new StoreUnavailable(error);
        }
        counts.retried += 1;
        await delay(RETRY_MS * 2 ** (tries - 1) * (0.5 + Math.random()));
      }
    }
  }

  return {
    counts,
    open: (request) => run(request, (response) => response),
    request: (request) =>
      run(request, async (response) => {
        const root = parseSuccess(await readBody(response));
        // A long request begins its response with 200 before its outcome is known.
        if (root?.name === 'Error') throw errorFrom(500, root);
        return root;
      }),
    async presign(request, ttlMs) {
      const query = { ...request.query, 'X-Amz-Expires': String(Math.floor(ttlMs / 1_000)) };
      const { url } = await sign(urlOf(bucket, bucket.publicEndpoint, { ...request, query }), request, {
        inQuery: true,
      });
      return url.href;
    },
    close() {
      closing.abort();
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** The origin to which clients send requests for this bucket. */
export const publicOriginOf = (bucket: S3Bucket): string => urlOf(bucket, bucket.publicEndpoint, {}).origin;

function urlOf(
  { bucket, isInPath }: S3Bucket,
  endpoint: string,
  { key, query = {} }: Pick<S3Request, 'key' | 'query'>,
): URL {
  const url = new URL(endpoint);
  const folder = url.pathname.replace(/\/$/, '');
  if (isInPath) url.pathname = `${folder}/${bucket}${key === undefined ? '' : `/${key}`}`;
  else {
    url.hostname = `${bucket}.${url.hostname}`;
    url.pathname = `${folder}/${key ?? ''}`;
  }
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_MAX) throw new Error('The response is too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string): XmlElement | undefined {
  return text.trim() === '' ? undefined : (parseXml(text).root ?? undefined);
}

function parseSuccess(text: string): XmlElement | undefined {
  try {
    return parse(text);
  } catch {
    throw new S3Error(502, 'InvalidResponse', 'The response is not XML: this is not the API of S3.');
  }
}

function errorOf(status: number, body: string, method: S3Request['method']): S3Error {
  // The response to HEAD has no body.
  if (method === 'HEAD') return new S3Error(status, status === 404 ? 'NoSuchKey' : '', `status ${status}`);
  let root: XmlElement | undefined;
  try {
    root = parse(body);
  } catch {
    // A proxy in front of the server has responded.
  }
  return root ? errorFrom(status, root) : new S3Error(status, '', `status ${status}`);
}

const errorFrom = (status: number, root: XmlElement) =>
  new S3Error(status, textOf(root, 'Code'), textOf(root, 'Message'));

/** Servers have codes of their own for an object that is damaged, with the status 409. */
const isOfObject = (error: unknown): error is S3Error =>
  error instanceof S3Error && (objectErrors.has(error.code) || (error.status === 409 && !isTemporary(error)));

const isOfLocalFile = (error: unknown): boolean => typeof (error as NodeJS.ErrnoException).path === 'string';

function isTemporary(error: unknown): boolean {
  // A server that does not respond would let the client wait several times as long.
  if (!(error instanceof S3Error)) return !(error instanceof TimedOut);
  return error.status >= 500 || error.status === 429 || temporaryErrors.has(error.code);
}

/** The children of an element that have this name. */
export const elementsOf = (parent: XmlElement | undefined, name: string): XmlElement[] =>
  (parent?.children ?? []).filter((each): each is XmlElement => each instanceof XmlElement && each.name === name);

/** The text of the first child of an element that has this name; empty if there is none. */
export const textOf = (parent: XmlElement | undefined, name: string): string => elementsOf(parent, name)[0]?.text ?? '';
