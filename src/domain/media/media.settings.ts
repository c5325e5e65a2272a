import { join } from 'node:path';
import { parseUrl } from '../../core/urls.js';
import type { Config } from '../../infra/config/config.js';
import { ConfigError } from '../../infra/config/config-error.js';
import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, flag, integer, parsed, rate, text, textThat } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';
import { readClamdAddress } from '../../infra/media/clamd.js';
import type { S3Bucket } from '../../infra/media/s3-client.js';

/** The largest file: sizes are 32-bit integers in GraphQL. */
const FILE_MAX_BYTES = 2 ** 31 - 1;

export const mediaSettings = defineSettings('Media', {
  MEDIA_DIR: setting(text, {
    description:
      'The directory in which the files of attachments are stored. All nodes must use the same one, for example on a network file system.',
    whenUnset:
      'the directory `media` in `DATA_DIR` with the embedded database; with `DATABASE_URL`, users can only upload files if `S3_BUCKET` is set',
    example: '/srv/parley/media',
  }),
  ATTACHMENT_MAX_BYTES: setting(integer(1, FILE_MAX_BYTES), {
    default: '104857600',
    description: 'The maximum size of a file in bytes.',
    clientDescription: 'The maximum size of an attachment, in bytes.',
  }),
  ATTACHMENTS_MAX: setting(integer(1, 100), {
    default: '10',
    description: 'The maximum number of attachments of a message.',
    clientDescription: 'The maximum number of attachments of a message.',
  }),
  MEDIA_QUOTA_BYTES: setting(integer(1, Number.MAX_SAFE_INTEGER), {
    default: '5368709120',
    description: 'The maximum size in bytes of all files that one user has uploaded and not deleted.',
  }),
  UPLOADS_OPEN_MAX: setting(integer(1, 1_000), {
    default: '20',
    description: 'The maximum number of uploads of one user that are not complete.',
    clientDescription: 'The maximum number of uploads of one user that are not complete.',
  }),
  UPLOAD_TTL: setting(duration('1m'), {
    default: '24h',
    description: 'How long an upload is kept that is neither in a message nor used as a picture.',
    clientDescription: 'How long an unused upload is kept, in seconds.',
    clientUnit: 'seconds',
  }),
  UPLOAD_PART_BYTES: setting(integer(65_536, 104_857_600), {
    default: '1048576',
    description:
      'The size of the parts of small files in bytes. An interrupted upload sends at most one part again. A larger file is sent in about 16 parts, as far as `UPLOAD_PART_MAX_BYTES` allows.',
  }),
  UPLOAD_PART_MAX_BYTES: setting(integer(65_536, 104_857_600), {
    default: '8388608',
    description: 'The maximum size of the parts of large files in bytes.',
  }),
  UPLOAD_BYTES_PER_SECOND_MIN: setting(integer(1, 1_073_741_824), {
    default: '8192',
    description:
      'How many bytes of a part per second a client has to send on average, after the first `REQUEST_TIMEOUT`. Slower clients are disconnected.',
  }),
  MEDIA_PIXELS_MAX: setting(integer(1, 268_402_689), {
    default: '50000000',
    description:
      'The maximum number of pixels of an image (all frames of an animation together). Larger images are rejected.',
  }),
  MEDIA_PROCESS_TIMEOUT: setting(duration('1s'), {
    default: '60s',
    description:
      'How long the processing of one file may take. After that, the process is ended; after three attempts, the file is rejected.',
  }),
  FFMPEG_PATH: setting(text, {
    description:
      'The program `ffmpeg`, which is used only for the still image (`poster`) of a video, and for the waveform of a recording that is neither Opus nor WAV. It is run by the process that checks files, with the same limits.',
    whenUnset: 'videos have no poster',
    example: '/usr/bin/ffmpeg',
  }),
  CLAMD_URL: setting(parsed('`clamd://host:port` or `unix:///path`', readClamdAddress), {
    description:
      'The address of clamd, the daemon of ClamAV, which scans every file before it can be opened. While it cannot be reached, new files stay PROCESSING. See docs/MEDIA.md.',
    whenUnset: 'files are not scanned',
    example: 'clamd://clamav:3310',
    secret: false,
  }),
  CLAMD_TIMEOUT: setting(duration('1s'), {
    default: '60s',
    description: 'How long clamd may send nothing while it scans a file.',
  }),
  MEDIA_REDIRECTS: setting(flag, {
    default: 'on',
    description:
      'Whether large files in S3 are opened directly at the bucket: the node checks the permission and redirects to a URL. Otherwise all bytes pass through the nodes.',
  }),
  MEDIA_REDIRECT_MIN_BYTES: setting(integer(0, FILE_MAX_BYTES), {
    default: '8388608',
    description: 'The minimum size in bytes of the files for which `MEDIA_REDIRECTS` applies.',
  }),
  MEDIA_REDIRECT_TTL: setting(duration('1s'), {
    default: '60s',
    description:
      'How long the URL of a redirect is valid: at most 7d. It continues to work for that long after the permission of the user has ended.',
  }),
});

/** The longest time for which S3 accepts a URL, in milliseconds. */
const URL_TTL_MAX_MS = 7 * 86_400_000;

const isBucketName = (given: string) => /^[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$/i.test(given);
const isPrefix = (given: string) => given.split('/').every((part) => /^[\w.-]+$/.test(part) && !/^\.+$/.test(part));
/** The URL of a server, perhaps with a path. */
const isEndpoint = (given: string) => {
  const parsedUrl = parseUrl(given);
  const { protocol = '', username = '', password = '', search = '', hash = '' } = parsedUrl ?? {};
  return /^https?:$/.test(protocol) && username + password + search + hash === '';
};
const endpoint = textThat(
  'a URL that begins with `https://` or `http://`, without credentials and parameters',
  isEndpoint,
);

export const s3Settings = defineSettings('S3', {
  S3_BUCKET: setting(textThat('the name of a bucket', isBucketName), {
    description:
      'The bucket in which the files of attachments are stored, in S3 or a server with the same API (MinIO, Ceph, Garage, Cloudflare R2, …). Clients send and receive large files there directly. See docs/MEDIA.md.',
    whenUnset: 'files are stored in `MEDIA_DIR`',
    example: 'parley',
  }),
  S3_ENDPOINT: setting(endpoint, {
    description: 'The URL at which the nodes reach the server of the bucket, without the name of the bucket.',
    whenUnset: 'Amazon S3 in `S3_REGION`',
    example: 'http://minio:9000',
    secret: false,
  }),
  S3_PUBLIC_ENDPOINT: setting(endpoint, {
    description: 'The URL at which clients reach the same server.',
    whenUnset: 'the value of `S3_ENDPOINT`',
    example: 'https://files.example.com',
    secret: false,
  }),
  S3_REGION: setting(
    textThat('letters, digits and hyphens', (given) => /^[\w-]+$/.test(given)),
    {
      default: 'us-east-1',
      description: 'The region of the bucket. Many servers accept any value; Cloudflare R2 requires `auto`.',
    },
  ),
  S3_ACCESS_KEY_ID: setting(text, {
    description: 'The id of the access key. It needs the permissions that docs/MEDIA.md lists.',
    secret: true,
  }),
  S3_SECRET_ACCESS_KEY: setting(text, { description: 'The secret of the access key.' }),
  S3_FORCE_PATH_STYLE: setting(flag, {
    default: 'on',
    description:
      'Whether URLs contain the bucket in their path (`https://host/bucket/key`). Otherwise it is a part of the host (`https://bucket.host/key`), as Amazon recommends.',
  }),
  S3_PREFIX: setting(textThat('letters, digits and the characters . _ - /', isPrefix), {
    description: 'A folder in the bucket for the files of this server, if others use the bucket as well.',
    whenUnset: 'the files are at the top of the bucket',
    example: 'parley/media',
  }),
  S3_TIMEOUT: setting(duration('1s'), {
    default: '10s',
    description: 'How long the server of the bucket may send nothing while a response is expected.',
  }),
  S3_UPLOAD_URL_TTL: setting(duration('1m'), {
    default: '1h',
    description:
      'How long clients can send a part of a file to the URL that `createUpload` returns: at most 7d. Afterwards, they call `createUpload` again.',
  }),
});

export const mediaRateSettings = defineSettings('Rate limits', {
  RATE_UPLOAD_PER_PERSON: setting(rate, {
    default: '120/1m',
    description: `Uploads that one user begins. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});

declare module '../../infra/config/config.js' {
  interface Config
    extends SectionValues<typeof mediaSettings>,
      SectionValues<typeof s3Settings>,
      SectionValues<typeof mediaRateSettings> {}
}

/** The directory in which the files of attachments are stored, or undefined if this server stores none in a directory. */
export function mediaDirOf({ mediaDir, databaseUrl, dataDir, s3Bucket }: Config): string | undefined {
  if (s3Bucket !== undefined) return undefined;
  return mediaDir ?? (databaseUrl === undefined ? join(dataDir, 'media') : undefined);
}

/** Whether this server stores files. */
export const storesMedia = (config: Config): boolean =>
  config.s3Bucket !== undefined || mediaDirOf(config) !== undefined;

/** The bucket in which the files of attachments are stored, or undefined if they are not stored in S3. */
export function bucketOf(config: Config): S3Bucket | undefined {
  const { s3Bucket, s3Region: region, s3AccessKeyId, s3SecretAccessKey, s3ForcePathStyle: isInPath } = config;
  if (s3Bucket === undefined || s3AccessKeyId === undefined || s3SecretAccessKey === undefined) return undefined;
  const endpoint = config.s3Endpoint ?? `https://s3.${region}.amazonaws.com`;
  const publicEndpoint = config.s3PublicEndpoint ?? endpoint;
  const keys = { accessKeyId: s3AccessKeyId, secretAccessKey: s3SecretAccessKey };
  return { bucket: s3Bucket, endpoint, publicEndpoint, region, isInPath, ...keys };
}

/** @throws {ConfigError} */
export function checkMediaConfig(config: Config): void {
  if (config.uploadPartMaxBytes < config.uploadPartBytes) {
    throw new ConfigError('UPLOAD_PART_MAX_BYTES: must be at least UPLOAD_PART_BYTES');
  }
  if (config.mediaQuotaBytes < config.attachmentMaxBytes) {
    throw new ConfigError('MEDIA_QUOTA_BYTES: must be at least ATTACHMENT_MAX_BYTES');
  }
  for (const [name, ms] of [
    ['MEDIA_REDIRECT_TTL', config.mediaRedirectTtlMs],
    ['S3_UPLOAD_URL_TTL', config.s3UploadUrlTtlMs],
  ] as const) {
    if (ms > URL_TTL_MAX_MS) throw new ConfigError(`${name}: must be at most 7d`);
  }
  const needed = {
    S3_ACCESS_KEY_ID: config.s3AccessKeyId,
    S3_SECRET_ACCESS_KEY: config.s3SecretAccessKey,
  };
  if (config.s3Bucket === undefined) {
    const others = { ...needed, S3_ENDPOINT: config.s3Endpoint, S3_PUBLIC_ENDPOINT: config.s3PublicEndpoint };
    const given = Object.entries(others).find(([, value]) => value !== undefined);
    if (given) throw new ConfigError(`S3_BUCKET: must be set if ${given[0]} is set`);
    return;
  }
  if (config.mediaDir !== undefined) throw new ConfigError('MEDIA_DIR: must not be set if S3_BUCKET is set');
  for (const [name, value] of Object.entries(needed)) {
    if (value === undefined) throw new ConfigError(`${name}: must be set if S3_BUCKET is set`);
  }
}
