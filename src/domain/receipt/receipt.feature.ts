import { defineFeature } from '../../platform/feature.js';
import { exposeGroupCommit } from '../../realtime/group-commit.js';
import { markChanges } from './receipt.events.js';
import { receiptMarks } from './receipt.marks.js';
import { receiptSettings } from './receipt.settings.js';

export const receiptFeature = defineFeature('receipt', {
  settings: [receiptSettings],
  schema: () => import('./receipt.schema.js'),
  changeKinds: ({ config }) => [markChanges(config)],
  start: (deps) => void receiptMarks.of(deps),
  metrics: (deps) => exposeGroupCommit(deps.metrics, 'marks', receiptMarks.of(deps)),
});
