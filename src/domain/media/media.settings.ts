import { join } from 'node:path';
import { ConfigError } from '../../infra/config/config-error.js';
import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, integer, rate, text } from '../../infra/config/kinds.js';
import { RATE_PER_NODE } from '../../infra/config/rates.settings.js';

/** The largest file: sizes are 32-bit integers in GraphQL. */
const FILE_MAX_BYTES = 2 ** 31 - 1;

export const mediaSettings = defineSettings('Media', {
  MEDIA_DIR: setting(text, {
    description:
      'The directory in which the files of attachments are stored. All nodes must use the same one, for example on a network file system.',
    whenUnset:
      'the directory `media` in `DATA_DIR` with the embedded database; with `DATABASE_URL`, users cannot upload files',
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
    description: 'How long an upload is kept unless a message with it is sent.',
    clientDescription: 'How long an upload is kept unless a message with it is sent, in seconds.',
    clientUnit: 'seconds',
  }),
  UPLOAD_PART_BYTES: setting(integer(65_536, 104_857_600), {
    default: '1048576',
    description:
      'The size of the parts of an upload in bytes. An interrupted upload sends at most one part again. A part must arrive within `REQUEST_TIMEOUT`.',
  }),
  MEDIA_PIXELS_MAX: setting(integer(1, 268_402_689), {
    default: '50000000',
    description:
      'The maximum number of pixels of an image (all frames of an animation together). Larger images are rejected.',
  }),
  MEDIA_PROCESS_TIMEOUT: setting(duration('1s'), {
    default: '60s',
    description:
      'How long the processing of one file may take. Then it is ended, and after three attempts the file is rejected.',
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
  interface Config extends SectionValues<typeof mediaSettings>, SectionValues<typeof mediaRateSettings> {}
}

/** Where the files of attachments are stored, or undefined if this server stores none. */
export function mediaDirOf(config: { mediaDir: string | undefined; databaseUrl: string | undefined; dataDir: string }) {
  return config.mediaDir ?? (config.databaseUrl === undefined ? join(config.dataDir, 'media') : undefined);
}

/** @throws {ConfigError} */
export function checkMediaConfig({
  attachmentMaxBytes,
  mediaQuotaBytes,
}: {
  attachmentMaxBytes: number;
  mediaQuotaBytes: number;
}): void {
  if (mediaQuotaBytes < attachmentMaxBytes) {
    throw new ConfigError('MEDIA_QUOTA_BYTES: must be at least ATTACHMENT_MAX_BYTES');
  }
}
