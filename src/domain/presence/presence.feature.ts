import { defineFeature } from '../../platform/feature.js';
import { personChanged } from '../conversation/person-change.js';
import { relationshipTypes } from '../relationship/relationship.events.js';
import { presence } from './presence.js';

export const presenceFeature = defineFeature('presence', {
  schema: () => import('./presence.schema.js'),
  start(deps) {
    const { feed } = deps;
    const tracker = presence.of(deps);
    feed.observe(relationshipTypes, (userIds) => tracker.sightChanged(userIds));
    feed.onReset(() => tracker.sightChanged(null));
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
      'People who are connected to this node, with those of a moment ago.',
      () => tracker.size.people,
    );
    metrics.read(
      'gauge',
      'parley_presence_watched',
      'People whose presence somebody here is told of.',
      () => tracker.size.watched,
    );
  },
});
