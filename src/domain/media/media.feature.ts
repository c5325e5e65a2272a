import { constants } from 'node:fs';
import { access, mkdir } from 'node:fs/promises';
import { ConfigError } from '../../infra/config/config-error.js';
import { defineFeature } from '../../platform/feature.js';
import { httpRoutes } from '../../platform/http-routes.js';
import { messageParts } from '../message/message.part.js';
import { attachmentsPart } from './media.part.js';
import { mediaRoute } from './media.routes.js';
import { checkMediaConfig, mediaDirOf, mediaRateSettings, mediaSettings } from './media.settings.js';
import { trimUploads } from './media.store.js';
import { mediaWorker } from './media.worker.js';

export const mediaFeature = defineFeature('media', {
  settings: [mediaSettings, mediaRateSettings],
  checkConfig: checkMediaConfig,
  capabilities: [
    {
      name: 'media',
      description: 'messages can have attachments, which users upload with `createUpload`',
      isEnabled: (config) => mediaDirOf(config) !== undefined,
    },
  ],
  contributes: [messageParts.with(attachmentsPart), httpRoutes.with(mediaRoute)],
  schema: () => import('./media.schema.js'),
  async beforeServing({ config }) {
    const dir = mediaDirOf(config);
    if (dir === undefined) return;
    try {
      await mkdir(dir, { recursive: true, mode: 0o700 });
      await access(dir, constants.R_OK | constants.W_OK | constants.X_OK);
    } catch (error) {
      throw new ConfigError(`MEDIA_DIR: ${dir} cannot be used: ${error instanceof Error ? error.message : error}`);
    }
  },
  start: (deps) => void mediaWorker.of(deps),
  retention: [{ table: 'attachments', trim: ({ database }) => trimUploads(database.db) }],
  // Those in messages are deleted with the messages, if these are.
  onAccountDeleted: async (tx, userId) =>
    void (await tx.attachment.deleteMany({ where: { uploaderId: userId, messageId: null } })),
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
      'Deleted attachments whose bytes this node has deleted.',
      () => counts.deleted,
    );
  },
});
