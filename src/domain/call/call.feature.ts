import { by } from '../../infra/telemetry/metrics.js';
import { defineFeature } from '../../platform/feature.js';
import { blockEndings } from '../block/block.endings.js';
import { membershipEndings } from '../group/membership.endings.js';
import { notificationOutputs, notificationSources } from '../notifier/notifier.sources.js';
import { pushSubjects } from '../push/push.subjects.js';
import { callChanges, signalChanges } from './call.events.js';
import { callPushes, missedCallSource, missedPush, ringingPush } from './call.notifications.js';
import { endBlockedCall, endMembersCall } from './call.service.js';
import { callRateSettings, callSettings, checkCallConfig, hasTurn, sfuOf } from './call.settings.js';
import { countLive } from './call.store.js';
import { callWorker } from './call.worker.js';
import { sfuWorker } from './sfu.worker.js';

const endReasons = ['HUNG_UP', 'DECLINED', 'CANCELLED', 'MISSED', 'BUSY', 'LOST', 'FAILED'] as const;

export const callFeature = defineFeature('call', {
  settings: [callSettings, callRateSettings],
  checkConfig: checkCallConfig,
  schema: () => import('./call.schema.js'),
  changeKinds: () => [callChanges, signalChanges],
  capabilities: [
    { name: 'calls', description: 'users can call each other with `startCall`', isEnabled: ({ calls }) => calls },
    {
      name: 'turn',
      description: 'calls can use TURN servers, which `viewer.iceServers` contains',
      isEnabled: (config) => config.calls && hasTurn(config),
    },
    {
      name: 'sfu',
      description: 'audio and video of calls in large groups go through a LiveKit server, which `Call.sfu` contains',
      isEnabled: (config) => config.calls && sfuOf(config) !== undefined,
    },
  ],
  contributes: [
    blockEndings.with(endBlockedCall),
    membershipEndings.with(endMembersCall),
    notificationSources.with(missedCallSource),
    notificationOutputs.with(callPushes),
    pushSubjects.with(ringingPush),
    pushSubjects.with(missedPush),
  ],
  start: (deps) => {
    callWorker.of(deps);
    sfuWorker.of(deps);
  },
  beforeServing: async (deps) => callWorker.of(deps).serve(),
  metrics(deps) {
    const worker = callWorker.of(deps);
    const { metrics, database } = deps;
    metrics.read(
      'counter',
      'parley_calls_ended_total',
      'Calls that ended on this node, by reason.',
      () =>
        by('reason', {
          ...Object.fromEntries(endReasons.map((reason) => [reason, 0])),
          ...Object.fromEntries(worker.ended),
        }),
      ['reason'],
    );
    metrics.read('gauge', 'parley_calls_live', 'Calls that ring or are in progress, of all nodes.', () =>
      countLive(database.sql),
    );
    metrics.read(
      'gauge',
      'parley_call_devices_connected',
      'Devices in calls whose streams are open on this node.',
      () => worker.connected,
    );
  },
});
