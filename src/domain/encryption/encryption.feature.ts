import { by } from '../../infra/telemetry/metrics.js';
import { defineFeature } from '../../platform/feature.js';
import { auditActions } from '../audit/audit.actions.js';
import { messageParts, streamedChanges } from '../message/message.part.js';
import { deleteAllOf, trimKeyPackages } from './device.store.js';
import { encryptionAuditActions } from './encryption.audit.js';
import { encryptionCounts } from './encryption.counts.js';
import { commitChanges, groupCommitted } from './encryption.events.js';
import { encryptedPart } from './encryption.part.js';
import { checkEncryptionConfig, encryptionRateSettings, encryptionSettings } from './encryption.settings.js';
import { trimCommits } from './group.store.js';

export const encryptionFeature = defineFeature('encryption', {
  settings: [encryptionSettings, encryptionRateSettings],
  checkConfig: checkEncryptionConfig,
  schema: () => Promise.all([import('./device.schema.js'), import('./group.schema.js')]),
  changeKinds: () => [commitChanges],
  capabilities: [
    {
      name: 'encryption',
      description: 'users can encrypt conversations with `enableEncryption`',
      isEnabled: ({ encryption }) => encryption,
    },
  ],
  contributes: [
    auditActions.with(encryptionAuditActions),
    messageParts.with(encryptedPart),
    streamedChanges.with(groupCommitted),
  ],
  retention: [
    {
      table: 'key_packages',
      trim: ({ database, config }) => trimKeyPackages(database.db, config.keyPackageLifetimeMs),
    },
    {
      table: 'group_commits',
      trim: ({ database, config }) => trimCommits(database.db, config.groupCommitRetentionMs),
    },
  ],
  onAccountDeleted: deleteAllOf,
  metrics(deps) {
    const { commits, claims } = encryptionCounts.of(deps);
    deps.metrics.read(
      'counter',
      'parley_group_commits_total',
      'Commits of groups of encrypted conversations by outcome: stored, repeated, stale or refused.',
      () => by('outcome', commits),
      ['outcome'],
    );
    deps.metrics.read(
      'counter',
      'parley_key_packages_claimed_total',
      'Key packages that were given out, by kind: single or last_resort.',
      () => by('kind', claims),
      ['kind'],
    );
  },
});
