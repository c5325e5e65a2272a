import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ChatError } from '../../core/errors.js';
import { ConfigError } from '../../infra/config/config-error.js';
import { createAvailability } from '../../infra/media/availability.js';
import { createClamd, type VirusScanner } from '../../infra/media/clamd.js';
import { createLocalStore } from '../../infra/media/local-store.js';
import { createS3Client, S3Error } from '../../infra/media/s3-client.js';
import { createS3Store } from '../../infra/media/s3-store.js';
import { type MediaStore, StoreUnavailable } from '../../infra/media/store.js';
import type { Deps } from '../../platform/deps.js';
import { defineService } from '../../platform/service.js';
import { bucketOf, mediaDirOf } from './media.settings.js';

/** The store in S3 with its client, or undefined if files are not stored there. */
export const s3 = defineService('S3', ({ config, log }) => {
  const bucket = bucketOf(config);
  if (!bucket) return undefined;
  const availability = createAvailability({
    onLost: (error) => log.warn({ err: error }, 'S3 unavailable: files cannot be uploaded, processed or opened'),
    onRegained: () => log.info('S3 available again'),
  });
  const client = createS3Client(bucket, { timeoutMs: config.s3TimeoutMs, availability });
  const store = createS3Store(client, {
    copiesDir: join(config.dataDir, 'media-copies'),
    prefix: config.s3Prefix === undefined ? '' : `${config.s3Prefix}/`,
    uploadTtlMs: config.s3UploadUrlTtlMs,
    readTtlMs: config.mediaRedirectTtlMs,
    availability,
  });
  return { client, store, availability };
});

/** Where the bytes of attachments are stored, or undefined if this server stores none. */
export const mediaStore = defineService('media store', (deps): MediaStore | undefined => {
  const dir = mediaDirOf(deps.config);
  return s3.of(deps)?.store ?? (dir === undefined ? undefined : createLocalStore(dir));
});

/** Scans files before they can be opened, or undefined if this server does not scan any. */
export const virusScanner = defineService('virus scanner', ({ config, log }) => {
  const { clamdUrl: address, clamdTimeoutMs: timeoutMs } = config;
  if (address === undefined) return undefined;
  const availability = createAvailability({
    onLost: (error) => log.warn({ err: error }, 'clamd unavailable: new files are not processed'),
    onRegained: () => log.info('clamd available again'),
  });
  const scanner: VirusScanner = createClamd(address, { timeoutMs, availability });
  return { ...scanner, availability };
});

/** @throws {ChatError} UNAVAILABLE if this server stores no files. */
export function requireMedia(deps: Pick<Deps, 'services'>): MediaStore {
  const store = mediaStore.of(deps);
  if (!store) throw new ChatError('UNAVAILABLE', 'This server does not store files.');
  return store;
}

/**
 * Checks that files can be stored.
 * @throws {ConfigError} if a setting has to be changed for that. A server that cannot be reached is only logged.
 */
export async function checkMediaStore(deps: Deps): Promise<void> {
  const dir = mediaDirOf(deps.config);
  if (dir !== undefined) await checkDirectory(dir);
  try {
    await s3.of(deps)?.store.prepare();
  } catch (error) {
    if (!(error instanceof StoreUnavailable)) throw unusable('DATA_DIR', deps.config.dataDir, error);
    const reason = error.cause;
    // Errors that do not concern the settings have been logged already.
    if (!(reason instanceof S3Error) || (reason.status >= 500 && reason.code !== 'InvalidResponse')) return;
    throw new ConfigError(`${settingOfError[reason.code] ?? 'S3_ENDPOINT'}: ${reason.message}`);
  }
}

async function checkDirectory(dir: string): Promise<void> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    throw unusable('MEDIA_DIR', dir, error);
  }
}

const unusable = (name: string, dir: string, error: unknown) =>
  new ConfigError(`${name}: ${dir} cannot be used: ${error instanceof Error ? error.message : error}`);

/** The settings that are wrong if the server of the bucket responds with these errors. */
const settingOfError: Readonly<Record<string, string>> = {
  NoSuchBucket: 'S3_BUCKET',
  InvalidBucketName: 'S3_BUCKET',
  InvalidAccessKeyId: 'S3_ACCESS_KEY_ID',
  AccessDenied: 'S3_ACCESS_KEY_ID',
  SignatureDoesNotMatch: 'S3_SECRET_ACCESS_KEY',
  AuthorizationHeaderMalformed: 'S3_REGION',
  PermanentRedirect: 'S3_REGION',
};
