import { createHash, createHmac, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { atEnd } from './ending.js';

// A server with the part of the API of S3 that Parley uses. It is strict: it checks each signature with an implementation
// of its own, and rejects what it does not know. test/infra/media/s3-fake.test.ts checks it with Amazon's client.

const ACCESS_KEY_ID = 'AKIDEXAMPLE';
const SECRET_ACCESS_KEY = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
const BUCKET = 'parley-tests';
const REGION = 'eu-test-1';

/** What happens to a request instead of its normal response. `cut`: the connection ends in the middle of the body. */
export type Fault =
  | { status: number; code: string }
  | 'silence'
  | 'disconnect'
  | 'cut'
  | 'error in a response with 200';

/** A request that has arrived. */
interface S3Call {
  method: string;
  /** The key of the object; empty for the bucket. */
  key: string;
  query: ReadonlyMap<string, string>;
}

/** An upload in parts. */
interface Upload {
  key: string;
  parts: Map<number, { body: Buffer; etag: string }>;
}

export interface FakeS3 {
  endpoint: string;
  /** The settings with which a node uses it. */
  env: Record<string, string>;
  objects: Map<string, Buffer>;
  /** The uploads in progress by their ids. */
  uploads: Map<string, Upload>;
  /** The requests so far. */
  calls: S3Call[];
  /** The codes of the errors with which requests were rejected. */
  refusals: string[];
  /** Decides what happens to requests; undefined: the normal response. A promise delays it. */
  fault(next: (call: S3Call) => Fault | undefined | Promise<Fault | undefined>): void;
  /** Shifts its clock, in milliseconds. */
  shiftClock(ms: number): void;
  /** The origin whose pages may use the bucket, with the CORS configuration of docs/MEDIA.md. */
  allowedOrigin: string | undefined;
  /** The maximum number of entries of a page of a list. */
  pageMax: number;
  /** The minimum size of all parts but the last one. */
  partBytesMin: number;
}

class Refusal extends Error {
  readonly status: number;
  readonly code: string;
  constructor(status: number, code: string, message = code) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export async function startS3(end: typeof atEnd = atEnd): Promise<FakeS3> {
  let fault: Parameters<FakeS3['fault']>[0] = () => undefined;
  let clockMs = 0;
  const server = createServer((request, response) => {
    void respond(request, response).catch((error: unknown) => {
      if (response.destroyed || request.errored) return;
      const refusal = error instanceof Refusal ? error : new Refusal(500, 'InternalError', String(error));
      fake.refusals.push(refusal.code);
      sendError(request, response, refusal);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  end(() => {
    server.closeAllConnections();
    return new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fake: FakeS3 = {
    endpoint,
    env: {
      S3_ENDPOINT: endpoint,
      S3_BUCKET: BUCKET,
      S3_REGION: REGION,
      S3_ACCESS_KEY_ID: ACCESS_KEY_ID,
      S3_SECRET_ACCESS_KEY: SECRET_ACCESS_KEY,
      S3_PREFIX: 'some/folder',
      // An empty variable counts as absent.
      MEDIA_DIR: '',
    },
    objects: new Map(),
    uploads: new Map(),
    calls: [],
    refusals: [],
    fault(next) {
      fault = next;
    },
    shiftClock(ms) {
      clockMs = ms;
    },
    allowedOrigin: undefined,
    pageMax: 1_000,
    partBytesMin: 5 * 1024 * 1024,
  };

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (applyCors(request, response, fake.allowedOrigin)) return;
    const { path, query } = readUrl(request.url ?? '');
    const [, bucket = '', ...rest] = path.split('/');
    const call: S3Call = { method: request.method ?? '', key: rest.join('/'), query };
    const given = await fault(call);
    if (given === 'disconnect') return void request.socket.destroy();
    const body = await readAll(request);
    if (given === 'silence') return;
    checkSignature(request, { path, query }, body, Date.now() + clockMs);
    fake.calls.push(call);
    if (typeof given === 'object') throw new Refusal(given.status, given.code);
    if (bucket !== BUCKET) throw new Refusal(404, 'NoSuchBucket');
    if (given === 'error in a response with 200') {
      const text = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>Try again</Message></Error>';
      return void response.writeHead(200).end(text);
    }
    if ((call.method === 'PUT' || call.method === 'POST') && request.headers['content-length'] === undefined) {
      throw new Refusal(411, 'MissingContentLength');
    }
    const answer = call.key === '' ? answerBucket(fake, call) : answerObject(fake, call, request, body);
    const { status = 200, headers = {}, content = '' } = answer;
    response.writeHead(status, { 'content-length': String(Buffer.byteLength(content)), ...headers });
    if (given === 'cut') {
      response.write(content.slice(0, Math.floor(content.length / 2)), () => request.socket.destroy());
      return;
    }
    response.end(call.method === 'HEAD' ? undefined : content);
  }

  return fake;
}

/** Sets the headers of CORS. Returns whether the request was a preflight, which has been answered. */
function applyCors(request: IncomingMessage, response: ServerResponse, allowedOrigin: string | undefined): boolean {
  const { origin } = request.headers;
  const isAllowed = origin !== undefined && origin === allowedOrigin;
  if (isAllowed) {
    response.setHeader('access-control-allow-origin', origin);
    response.setHeader('access-control-expose-headers', 'content-length, content-range, etag');
  }
  if (request.method !== 'OPTIONS') return false;
  const wanted = String(request.headers['access-control-request-headers'] ?? '').split(/, */);
  const areKnown = wanted.every((name) => ['', 'content-type', 'range'].includes(name.toLowerCase()));
  const isKnown = ['GET', 'PUT'].includes(String(request.headers['access-control-request-method']));
  if (isAllowed && areKnown && isKnown) {
    response.setHeader('access-control-allow-methods', 'GET, PUT');
    response.setHeader('access-control-allow-headers', 'content-type, range');
    response.writeHead(200).end();
  } else response.writeHead(403).end();
  return true;
}

interface Response {
  status?: number;
  headers?: Record<string, string>;
  content?: Buffer | string;
}

// ── the bucket ──

function answerBucket(fake: FakeS3, { method, query }: S3Call): Response {
  if (method === 'GET' && query.get('list-type') === '2') {
    allow(query, 'list-type', 'prefix', 'delimiter', 'max-keys', 'continuation-token', 'encoding-type');
    return listObjects(fake, query);
  }
  if (method === 'GET' && query.has('uploads')) {
    allow(query, 'uploads', 'prefix', 'max-uploads', 'key-marker', 'upload-id-marker', 'encoding-type');
    return listUploads(fake, query);
  }
  throw new Refusal(501, 'NotImplemented');
}

function listObjects(fake: FakeS3, query: ReadonlyMap<string, string>): Response {
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const after = Buffer.from(query.get('continuation-token') ?? '', 'base64').toString();
  /** Keys, and the common parts of those which contain the delimiter after the prefix. */
  const entries = new Map<string, string>();
  for (const key of [...fake.objects.keys()].sort()) {
    if (!key.startsWith(prefix)) continue;
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    const common = at < 0 ? undefined : key.slice(0, at + delimiter.length);
    const size = fake.objects.get(key)?.length;
    entries.set(
      common ?? key,
      common === undefined
        ? `<Contents><Key>${escapeXml(key)}</Key><Size>${size}</Size></Contents>`
        : `<CommonPrefixes><Prefix>${escapeXml(common)}</Prefix></CommonPrefixes>`,
    );
  }
  const rest = [...entries].filter(([name]) => name > after);
  const page = rest.slice(0, Math.min(fake.pageMax, Number(query.get('max-keys') ?? 1_000)));
  const isTruncated = page.length < rest.length;
  const token = Buffer.from(page.at(-1)?.[0] ?? '').toString('base64');
  return xml(
    'ListBucketResult',
    `<Name>${BUCKET}</Name><IsTruncated>${isTruncated}</IsTruncated>`,
    isTruncated ? `<NextContinuationToken>${token}</NextContinuationToken>` : '',
    ...page.map(([, text]) => text),
  );
}

function listUploads(fake: FakeS3, query: ReadonlyMap<string, string>): Response {
  const prefix = query.get('prefix') ?? '';
  const after = [query.get('key-marker') ?? '', query.get('upload-id-marker') ?? ''].join('\n');
  const rest = [...fake.uploads]
    .filter(([, { key }]) => key.startsWith(prefix))
    .map(([id, { key }]) => ({ id, key, place: `${key}\n${id}` }))
    .sort((one, other) => (one.place < other.place ? -1 : 1))
    .filter(({ place }) => place > after);
  const page = rest.slice(0, Math.min(fake.pageMax, Number(query.get('max-uploads') ?? 1_000)));
  const isTruncated = page.length < rest.length;
  const last = page.at(-1);
  return xml(
    'ListMultipartUploadsResult',
    `<IsTruncated>${isTruncated}</IsTruncated>`,
    isTruncated && last
      ? `<NextKeyMarker>${escapeXml(last.key)}</NextKeyMarker><NextUploadIdMarker>${last.id}</NextUploadIdMarker>`
      : '',
    ...page.map(({ id, key }) => `<Upload><Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId></Upload>`),
  );
}

// ── objects ──

function answerObject(fake: FakeS3, call: S3Call, request: IncomingMessage, body: Buffer): Response {
  const { method, key, query } = call;
  const uploadId = query.get('uploadId');
  if (uploadId !== undefined) {
    const upload = fake.uploads.get(uploadId);
    if (upload?.key !== key) throw new Refusal(404, 'NoSuchUpload');
    return answerUpload(fake, call, { ...upload, id: uploadId }, body);
  }
  if (method === 'POST' && query.has('uploads')) {
    allow(query, 'uploads');
    const id = randomBytes(12).toString('base64');
    fake.uploads.set(id, { key, parts: new Map() });
    return xml('InitiateMultipartUploadResult', `<Key>${escapeXml(key)}</Key><UploadId>${id}</UploadId>`);
  }
  const object = fake.objects.get(key);
  if (method === 'PUT') {
    allow(query);
    fake.objects.set(key, body);
    return { headers: { etag: tagOf(body) } };
  }
  if (method === 'DELETE') {
    allow(query);
    fake.objects.delete(key);
    return { status: 204 };
  }
  if (method !== 'GET' && method !== 'HEAD') throw new Refusal(405, 'MethodNotAllowed');
  allow(query, 'response-content-type', 'response-content-disposition', 'response-cache-control');
  if (!object) throw new Refusal(404, 'NoSuchKey');
  const headers: Record<string, string> = { etag: tagOf(object), 'accept-ranges': 'bytes' };
  for (const [name, value] of query) if (name.startsWith('response-')) headers[name.slice(9)] = value;
  const { range } = request.headers;
  if (range === undefined) return { headers: { ...headers, 'content-length': String(object.length) }, content: object };
  const [, from = '', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(range) ?? [];
  if (from === '') throw new Refusal(501, 'NotImplemented');
  const start = Number(from);
  const stop = Math.min(to === '' ? object.length - 1 : Number(to), object.length - 1);
  if (start > stop) throw new Refusal(416, 'InvalidRange');
  const content = object.subarray(start, stop + 1);
  return {
    status: 206,
    headers: {
      ...headers,
      'content-length': String(content.length),
      'content-range': `bytes ${start}-${stop}/${object.length}`,
    },
    content,
  };
}

function answerUpload(
  fake: FakeS3,
  { method, query }: S3Call,
  { id, key, parts }: Upload & { id: string },
  body: Buffer,
): Response {
  if (method === 'PUT') {
    allow(query, 'uploadId', 'partNumber');
    const number = Number(query.get('partNumber'));
    if (!(Number.isInteger(number) && number >= 1 && number <= 10_000)) throw new Refusal(400, 'InvalidArgument');
    const etag = tagOf(body);
    parts.set(number, { body, etag });
    return { headers: { etag } };
  }
  if (method === 'GET') {
    allow(query, 'uploadId', 'part-number-marker', 'max-parts');
    const after = Number(query.get('part-number-marker') ?? 0);
    const rest = [...parts].filter(([number]) => number > after).sort(([one], [other]) => one - other);
    const page = rest.slice(0, Math.min(fake.pageMax, Number(query.get('max-parts') ?? 1_000)));
    const isTruncated = page.length < rest.length;
    return xml(
      'ListPartsResult',
      `<IsTruncated>${isTruncated}</IsTruncated>`,
      isTruncated ? `<NextPartNumberMarker>${page.at(-1)?.[0]}</NextPartNumberMarker>` : '',
      ...page.map(
        ([number, part]) =>
          `<Part><PartNumber>${number}</PartNumber><ETag>${escapeXml(part.etag)}</ETag><Size>${part.body.length}</Size></Part>`,
      ),
    );
  }
  allow(query, 'uploadId');
  if (method === 'DELETE') {
    fake.uploads.delete(id);
    return { status: 204 };
  }
  if (method !== 'POST') throw new Refusal(405, 'MethodNotAllowed');
  const listed = [...body.toString().matchAll(/<Part>(.*?)<\/Part>/gs)].map(([, part = '']) => ({
    number: Number(/<PartNumber>(\d+)<\/PartNumber>/.exec(part)?.[1]),
    etag: unescapeXml(/<ETag>(.*?)<\/ETag>/s.exec(part)?.[1] ?? ''),
  }));
  if (listed.length === 0) throw new Refusal(400, 'MalformedXML');
  if (listed.some(({ number }, index) => index > 0 && number <= (listed[index - 1]?.number ?? 0))) {
    throw new Refusal(400, 'InvalidPartOrder');
  }
  const chosen = listed.map(({ number, etag }) => {
    const part = parts.get(number);
    if (!part || part.etag.replaceAll('"', '') !== etag.replaceAll('"', '')) throw new Refusal(400, 'InvalidPart');
    return part;
  });
  if (chosen.slice(0, -1).some((part) => part.body.length < fake.partBytesMin))
    throw new Refusal(400, 'EntityTooSmall');
  fake.objects.set(key, Buffer.concat(chosen.map((part) => part.body)));
  fake.uploads.delete(id);
  const digests = chosen.map((part) => Buffer.from(part.etag.replaceAll('"', ''), 'hex'));
  const etag = `"${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${chosen.length}"`;
  return xml('CompleteMultipartUploadResult', `<Key>${escapeXml(key)}</Key><ETag>${escapeXml(etag)}</ETag>`);
}

/** Rejects parameters that are not known, other than those of a signature. */
function allow(query: ReadonlyMap<string, string>, ...names: string[]): void {
  const unknown = [...query.keys()].find((name) => !names.includes(name) && !/^x-amz-/i.test(name));
  if (unknown !== undefined) throw new Refusal(501, 'NotImplemented', `parameter ${unknown}`);
}

const tagOf = (body: Buffer) => `"${createHash('md5').update(body).digest('hex')}"`;

function xml(root: string, ...content: string[]): Response {
  return {
    headers: { 'content-type': 'application/xml' },
    content: `<?xml version="1.0" encoding="UTF-8"?>\n<${root} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${content.join('')}</${root}>`,
  };
}

function sendError(request: IncomingMessage, response: ServerResponse, { status, code, message }: Refusal): void {
  const content = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${escapeXml(message)}</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml', connection: 'close' });
  response.end(request.method === 'HEAD' ? undefined : content);
}

const escapeXml = (text: string) =>
  text.replace(/[<>&"]/g, (sign) => `&#${sign.charCodeAt(0)};`).replaceAll('&#34;', '&quot;');
const unescapeXml = (text: string) =>
  text
    .replaceAll('&quot;', '"')
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replaceAll('&amp;', '&');

async function readAll(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

// ── Signature Version 4 ──

interface SignedUrl {
  path: string;
  query: ReadonlyMap<string, string>;
}

function readUrl(url: string): SignedUrl {
  const [rawPath = '', rawQuery = ''] = url.split('?');
  // Whether it means a space differs between servers.
  if (rawQuery.includes('+')) throw new Refusal(400, 'InvalidURI', 'a + in the query');
  const pairs = rawQuery === '' ? [] : rawQuery.split('&').map((pair) => pair.split('='));
  const query = new Map(pairs.map(([name = '', value = '']) => [decodeURIComponent(name), decodeURIComponent(value)]));
  if (query.size !== pairs.length) throw new Refusal(400, 'InvalidArgument', 'a parameter is repeated');
  return { path: decodeURIComponent(rawPath), query };
}

const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`);

const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest();
const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

/** How much the clocks of a client and the server may differ, in milliseconds. */
const SKEW_MAX_MS = 15 * 60_000;
const TTL_MAX_SECONDS = 604_800;

function checkSignature(request: IncomingMessage, { path, query }: SignedUrl, body: Buffer, nowMs: number): void {
  const { headers } = request;
  const isPresigned = query.has('X-Amz-Signature');
  const [credential = '', names = '', signature = ''] = isPresigned
    ? ['X-Amz-Credential', 'X-Amz-SignedHeaders', 'X-Amz-Signature'].map((name) => query.get(name) ?? '')
    : (/^AWS4-HMAC-SHA256 Credential=([^,]+), ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/
        .exec(headers.authorization ?? '')
        ?.slice(1) ?? []);
  if (signature === '') throw new Refusal(403, 'AccessDenied', 'no signature');
  if (isPresigned && query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') {
    throw new Refusal(400, 'AuthorizationQueryParametersError');
  }
  const [keyId, day, region, service, terminator] = credential.split('/');
  if (keyId !== ACCESS_KEY_ID) throw new Refusal(403, 'InvalidAccessKeyId');
  if (region !== REGION || service !== 's3' || terminator !== 'aws4_request') {
    throw new Refusal(400, 'AuthorizationHeaderMalformed', `the region is ${REGION}`);
  }
  const time = (isPresigned ? query.get('X-Amz-Date') : String(headers['x-amz-date'])) ?? '';
  const [, y, m, d, h, min, s] = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(time) ?? [];
  const signedAt = Date.parse(`${y}-${m}-${d}T${h}:${min}:${s}Z`);
  if (Number.isNaN(signedAt) || time.slice(0, 8) !== day) throw new Refusal(403, 'AccessDenied', 'invalid date');
  if (isPresigned) {
    const ttl = Number(query.get('X-Amz-Expires'));
    if (!(ttl >= 1 && ttl <= TTL_MAX_SECONDS)) throw new Refusal(400, 'AuthorizationQueryParametersError');
    if (nowMs > signedAt + ttl * 1_000) throw new Refusal(403, 'AccessDenied', 'Request has expired');
  } else if (Math.abs(nowMs - signedAt) > SKEW_MAX_MS) throw new Refusal(403, 'RequestTimeTooSkewed');
  const signedNames = names.split(';');
  const mustBeSigned = ['host', ...Object.keys(headers).filter((name) => name.startsWith('x-amz-'))];
  const unsigned = mustBeSigned.find((name) => !signedNames.includes(name));
  if (unsigned !== undefined) throw new Refusal(403, 'AccessDenied', `the header ${unsigned} is not signed`);
  const payload = isPresigned ? 'UNSIGNED-PAYLOAD' : String(headers['x-amz-content-sha256'] ?? '');
  if (payload !== 'UNSIGNED-PAYLOAD' && payload !== sha256(body)) throw new Refusal(400, 'XAmzContentSHA256Mismatch');
  const canonicalQuery = [...query]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&');
  const canonical = [
    request.method,
    path.split('/').map(encode).join('/'),
    canonicalQuery,
    ...signedNames.map(
      (name) =>
        `${name}:${String(headers[name] ?? '')
          .trim()
          .replace(/ +/g, ' ')}`,
    ),
    '',
    names,
    payload,
  ].join('\n');
  const scope = `${day}/${region}/${service}/aws4_request`;
  const text = ['AWS4-HMAC-SHA256', time, scope, sha256(canonical)].join('\n');
  const dayKey = hmac(`AWS4${SECRET_ACCESS_KEY}`, day ?? '');
  const expected = hmac(hmac(hmac(hmac(dayKey, REGION), 's3'), 'aws4_request'), text).toString('hex');
  if (signature !== expected) throw new Refusal(403, 'SignatureDoesNotMatch');
}
