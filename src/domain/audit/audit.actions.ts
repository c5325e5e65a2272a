import { defineExtensionPoint } from '../../platform/feature.js';

/** The actions that do not belong to another feature. */
export const ownAuditActions = {
  SETTINGS_CHANGED:
    'A server process started with settings that differ from those of the previous start. The values of secrets are not recorded; null stands for the default.',
  AUDIT_LOG_READ: 'A user read this log. Each first page is recorded with its filter.',
  AUDIT_LOG_TRIMMED:
    'The oldest entries were removed because of the retention period. `until` contains the time up to which entries were removed.',
  OTHER: 'An action that a newer server recorded. The detail `action` contains its name.',
};

/**
 * The actions that the audit log records, with their descriptions in the schema. A feature declares its actions by
 * declaration merging, contributes them to `auditActions`, and describes them in docs/AUDIT.md.
 */
export interface AuditActions extends Record<keyof typeof ownAuditActions, string> {}

export type AuditAction = keyof AuditActions;

/** The actions of the features of a node. */
export const auditActions = defineExtensionPoint<Partial<AuditActions>, AuditActions>(
  'audit actions',
  (items) => Object.assign({}, ...items) as AuditActions,
);
