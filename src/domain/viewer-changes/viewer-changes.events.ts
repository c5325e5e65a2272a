import type { Tx } from '../../infra/database/database.js';
import { changesWithoutData, recordPersonalChanges } from '../../realtime/personal-log.js';

/** The type of a change of what only the viewer sees of themselves, or of their profile; `subjectId` is the user. */
export const SETTINGS = 'SETTINGS';

export const settingsChanges = changesWithoutData([SETTINGS]);

/** Records that fields of `Viewer` have changed, for all devices of the user. */
export const recordSettingsChanged = (tx: Tx, userId: string): void =>
  recordPersonalChanges(tx, [{ userId, type: SETTINGS, subjectId: userId, actorId: null, data: true }]);
