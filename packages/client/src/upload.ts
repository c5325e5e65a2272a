import type { TypedDocument } from './document.js';
import { isTemporary, ParleyError, responseError, toError } from './errors.js';
import { CompleteUploadDocument, CreateUploadDocument } from './generated/media.js';
import type { AttachmentFieldsFragment, AttachmentKind, CreateUploadMutation } from './generated/types.js';
import { pause, retryDelay } from './pause.js';

type Part = NonNullable<CreateUploadMutation['createUpload']>['upload']['missingParts'][number];

/**
 * How long the sending of a part may take, in milliseconds, in addition to the time that it takes at `SLOWEST` bytes
 * per millisecond.
 */
const PART_TIMEOUT = 30_000;
const SLOWEST = 16;
/** How often a part is sent again that was refused, for example because its URL was too old. */
const REFUSALS_MAX = 3;

export interface UploadOptions {
  /** Sends an operation and returns its data: `parley.request`, or a function that uses your own client. */
  request: <Data, Variables extends object>(
    document: TypedDocument<Data, Variables>,
    variables: Variables,
  ) => Promise<Data>;
  /** The address of the API, to which the paths of parts are relative. */
  url: string;
  file: Blob;
  kind: AttachmentKind;
  filename: string;
  /** Identifies the upload. With the same key and the same file, an interrupted upload is continued. */
  clientUploadId: string;
  /** A description for people who cannot see the image. With another one, the file is not sent again. */
  altText?: string | undefined;
  /** The loudness of a recording: 64 peaks from 0 to 100, which are shown if the server cannot decode it. */
  waveform?: readonly number[] | undefined;
  /** The SHA-256 hash of the file in hexadecimal digits, which the server compares with what it has received. */
  sha256?: string | undefined;
  /** Called with the number of bytes that were sent. In browsers, this includes those of a part that is being sent. */
  onProgress?: (sentBytes: number) => void;
  /**
   * Called when the server has created the upload, with its id and the time until which a message has to contain it.
   */
  onCreated?: (attachmentId: string, expiresAt: string) => void;
  /** Interrupts the upload. It can be continued later. */
  signal?: AbortSignal | undefined;
  /** After how many failures in a row without any progress the upload fails. The default is 10. */
  failuresMax?: number;
}

/**
 * Uploads a file in parts, and continues after failures: at most one part is sent again. It uses neither the store nor the
 * socket of a client. The attachment that it returns can be sent with a message at once, while it is PROCESSING.
 * @throws ParleyError with the code of the server, `FILE_UNREADABLE` if the file cannot be read any more, or the last
 *   failure after `failuresMax`; the reason of `signal` if it was interrupted.
 */
export async function uploadFile(options: UploadOptions): Promise<AttachmentFieldsFragment> {
  const {
    request,
    file,
    kind,
    filename,
    clientUploadId,
    altText,
    waveform,
    sha256,
    signal,
    failuresMax = 10,
  } = options;
  const input = { clientUploadId, kind, filename, byteSize: file.size, altText, waveform: waveform?.slice(), sha256 };
  let sentBytes = 0;
  let failures = 0;
  let refusals = 0;
  const report = (bytes: number) => {
    if (bytes > sentBytes) failures = refusals = 0;
    sentBytes = Math.max(bytes, sentBytes);
    options.onProgress?.(sentBytes);
  };
  for (;;) {
    signal?.throwIfAborted();
    try {
      const { createUpload } = await request(CreateUploadDocument, { input });
      const { attachment, missingParts, expiresAt } = createUpload?.upload ?? {};
      if (!attachment || !missingParts) throw new ParleyError('INTERNAL_SERVER_ERROR', 'No upload was returned.');
      // Also after an interruption, so that the upload can be cancelled.
      options.onCreated?.(attachment.id, expiresAt ?? '');
      signal?.throwIfAborted();
      report(missingParts[0]?.offset ?? file.size);
      for (const part of missingParts) {
        signal?.throwIfAborted();
        await sendPart(part, options, (bytes) => options.onProgress?.(part.offset + bytes));
        signal?.throwIfAborted();
        report(part.offset + part.byteSize);
      }
      // A response contains a limited number of parts.
      const last = missingParts.at(-1);
      if (last && last.offset + last.byteSize < file.size) continue;
      const { completeUpload } = await request(CompleteUploadDocument, { input: { attachmentId: attachment.id } });
      if (completeUpload) return completeUpload.attachment;
      throw new ParleyError('INTERNAL_SERVER_ERROR', 'No attachment was returned.');
    } catch (thrown) {
      signal?.throwIfAborted();
      const error = toError(thrown);
      const isRefused = error instanceof PartRefused || isIncomplete(error);
      if (isRefused) refusals += 1;
      failures += 1;
      if (!(isRefused || isTemporary(error)) || refusals > REFUSALS_MAX || failures > failuresMax) throw error;
      await pauseUnless(signal, Math.max(retryDelay(failures), error.retryAfter ?? 0));
    }
  }
}

/** Whether parts are missing that this client has sent: they are sent again. */
const isIncomplete = ({ code, field }: ParleyError) => code === 'CONFLICT' && field === 'input.attachmentId';

/** A part was refused, although the file is acceptable. */
class PartRefused extends ParleyError {}

/** @throws ParleyError */
async function sendPart(
  { url, headers, offset, byteSize }: Part,
  { file, signal, url: api }: UploadOptions,
  onProgress: (bytes: number) => void,
) {
  let body: ArrayBuffer;
  try {
    body = await file.slice(offset, offset + byteSize).arrayBuffer();
  } catch {
    throw new ParleyError('FILE_UNREADABLE', 'The file cannot be read. It may have been changed or removed.');
  }
  const timeout = AbortSignal.timeout(PART_TIMEOUT + Math.ceil(byteSize / SLOWEST));
  const init = {
    method: 'PUT',
    headers: headers.map(({ name, value }): [string, string] => [name, value]),
    body,
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
  };
  const put = globalThis.XMLHttpRequest ? fetchWithProgress : fetch;
  const response = await put(new URL(url, api), init, onProgress);
  // Otherwise the connection could not be used again.
  const text = await response.text();
  if (response.ok) return;
  throw failureOf(response, text);
}

/** Like `fetch`, which cannot report how much of the body has been sent. */
function fetchWithProgress(
  url: URL,
  {
    method,
    headers,
    body,
    signal,
  }: { method: string; headers: [string, string][]; body: BodyInit; signal: AbortSignal },
  onProgress: (bytes: number) => void,
): Promise<Response> {
  const request = new XMLHttpRequest();
  const abort = () => request.abort();
  signal.addEventListener('abort', abort);
  return new Promise<Response>((resolve, reject) => {
    request.open(method, url);
    for (const [name, value] of headers) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => onProgress(loaded);
    request.onload = () => {
      const { status, response } = request;
      // Asking for one header that a bucket does not expose would write an error to the console.
      const retryAfter = /^retry-after: *(\d+)/im.exec(request.getAllResponseHeaders())?.[1];
      resolve(new Response(response || null, { status, headers: retryAfter ? { 'retry-after': retryAfter } : {} }));
    };
    request.onerror = () => reject(new TypeError('The part could not be sent.'));
    request.onabort = () => reject(signal.reason);
    if (signal.aborted) abort();
    else request.send(body as XMLHttpRequestBodyInit);
  }).finally(() => signal.removeEventListener('abort', abort));
}

function failureOf({ status, headers }: Response, text: string): ParleyError {
  try {
    const { errors } = JSON.parse(text);
    const { code, message } = responseError(errors);
    if (status === 400 || status === 413) return new ParleyError(code, message, errors);
    const error = status === 429 || status >= 500 ? ParleyError : PartRefused;
    return new error(code, message, errors);
  } catch {
    // A storage server or a proxy has answered.
    const isTemporarily = status === 408 || status === 429 || status >= 500;
    const seconds = Number(headers.get('retry-after'));
    const extensions = seconds > 0 ? { retryAfterMs: seconds * 1_000 } : {};
    const message = `A part of the file was refused with the HTTP status ${status}.`;
    return new (isTemporarily ? ParleyError : PartRefused)('NETWORK', message, [{ message, extensions }]);
  }
}

/** Waits. @throws the reason of the signal */
async function pauseUnless(signal: AbortSignal | undefined, milliseconds: number): Promise<void> {
  let stop = () => {};
  const aborted = new Promise<void>((resolve) => {
    stop = resolve;
    signal?.addEventListener('abort', stop);
  });
  await Promise.race([pause(milliseconds), aborted]);
  signal?.removeEventListener('abort', stop);
}
