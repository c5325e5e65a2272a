import { defineFeature } from '../../platform/feature.js';
import { personChanged } from '../conversation/person-change.js';
import { relationshipTypes } from '../relationship/relationship.events.js';
import { presence } from './presence.js';
import { presenceSettings } from './presence.settings.js';

export const presenceFeature = defineFeature('presence', {
  settings: [presenceSettings],
  schema: () => import('./presence.schema.js'),
  start(deps) {
    const { feed } = deps;
    const tracker = presence.of(deps);
    feed.observe(relationshipTypes, (userIds) => tracker.visibilityChanged(userIds));
    feed.onReset(() => tracker.visibilityChanged(null));
    personChanged.on(deps, (userId) => tracker.personChanged(userId));
  },
  onConnected: (deps, { userId }) => presence.of(deps).connect(userId),
  beforeStopping: (deps) => presence.of(deps).leave(),
  metrics(deps) {
    const { metrics } = deps;
    const tracker = presence.of(deps);
    metrics.read(
      'gauge',
      'parley_presence_people',
      'Users connected to this node, including those within the grace period.',
      () => tracker.size.people,
    );
    metrics.read(
      'gauge',
      'parley_presence_watched',
      'Users whose presence is watched by clients of this node.',
      () => tracker.size.watched,
    );
  },
});
