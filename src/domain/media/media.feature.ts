import type { Availability } from '../../infra/media/availability.js';
import { publicOriginOf } from '../../infra/media/s3-client.js';
import { by } from '../../infra/telemetry/metrics.js';
import type { Deps } from '../../platform/deps.js';
import { defineFeature } from '../../platform/feature.js';
import { httpRoutes } from '../../platform/http-routes.js';
import { nodeParts } from '../../platform/node-parts.js';
import { pageOrigins } from '../../platform/page-origins.js';
import { messageParts } from '../message/message.part.js';
import { checkMediaStore, s3, virusScanner } from './media.files.js';
import { attachmentsPart } from './media.part.js';
import { checkFfmpeg } from './media.processes.js';
import { mediaRoute } from './media.routes.js';
import {
  bucketOf,
  checkMediaConfig,
  mediaRateSettings,
  mediaSettings,
  s3Settings,
  storesMedia,
} from './media.settings.js';
import { readBacklog, trimUploads } from './media.store.js';
import { mediaWorker } from './media.worker.js';

/** The servers on which files depend, if there are any. */
function mediaParts(deps: Deps): Record<string, string> {
  const files = s3.of(deps);
  const scanner = virusScanner.of(deps);
  const stateOf = ({ isAvailable }: Availability) => (isAvailable ? 'ok' : 'unavailable');
  return {
    ...(files && { s3: stateOf(files.availability) }),
    ...(scanner && { clamd: stateOf(scanner.availability) }),
  };
}

export const mediaFeature = defineFeature('media', {
  settings: [mediaSettings, s3Settings, mediaRateSettings],
  checkConfig: checkMediaConfig,
  capabilities: [
    {
      name: 'media',
      description: 'messages can have attachments, which users upload with `createUpload`',
      isEnabled: storesMedia,
    },
  ],
  contributes: [
    messageParts.with(attachmentsPart),
    httpRoutes.with(mediaRoute),
    nodeParts.with(mediaParts),
    pageOrigins.with((config) => {
      const bucket = bucketOf(config);
      return bucket ? [publicOriginOf(bucket)] : [];
    }),
  ],
  schema: () => import('./media.schema.js'),
  async beforeServing(deps) {
    await checkMediaStore(deps);
    await checkFfmpeg(deps.config);
  },
  start: (deps) => void mediaWorker.of(deps),
  retention: [{ table: 'attachments', trim: ({ database }) => trimUploads(database.db) }],
  // Those in messages are deleted with the messages, if these are. The pictures of groups stay, like their titles.
  onAccountDeleted: async (tx, userId) => {
    const isUnused = { messageId: null, OR: [{ imageOf: null }, { state: { not: 'READY' as const } }] };
    await tx.attachment.deleteMany({ where: { uploaderId: userId, ...isUnused } });
  },
  metrics(deps) {
    const { counts } = mediaWorker.of(deps);
    deps.metrics.read(
      'counter',
      'parley_media_processed_total',
      'Files that this node has processed, by outcome: ready, rejected, or failed (an attempt that failed).',
      () =>
        (['ready', 'rejected', 'failed'] as const).map((outcome) => ({ labels: { outcome }, value: counts[outcome] })),
      ['outcome'],
    );
    deps.metrics.read(
      'counter',
      'parley_media_deleted_total',
      'Deleted and rejected attachments whose bytes this node has deleted.',
      () => counts.deleted,
    );
    const { sql } = deps.database;
    deps.metrics.read(
      'gauge',
      'parley_media_waiting',
      'Files that wait to be processed, of all nodes.',
      async () => (await readBacklog(sql)).processing,
    );
    deps.metrics.read(
      'gauge',
      'parley_media_deletions_waiting',
      'Attachments whose bytes wait to be deleted, of all nodes.',
      async () => (await readBacklog(sql)).deletions,
    );
    deps.metrics.read(
      'counter',
      'parley_media_scans_total',
      'Scans of files by clamd, by outcome: clean, infected, or failed. Absent without CLAMD_URL.',
      () => (virusScanner.of(deps) ? by('outcome', counts.scans) : undefined),
      ['outcome'],
    );
    deps.metrics.read(
      'counter',
      'parley_s3_requests_total',
      'Attempts to send requests to S3, by outcome: ok, retried, or failed. Absent without S3_BUCKET.',
      () => {
        const files = s3.of(deps);
        return files && by('outcome', files.client.counts);
      },
      ['outcome'],
    );
  },
});
