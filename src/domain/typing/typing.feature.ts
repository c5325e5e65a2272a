import { defineFeature } from '../../platform/feature.js';
import { messageSent } from '../message/message.service.js';
import { presence } from '../presence/presence.js';
import { typing, typingNotices } from './typing.js';
import { typingSettings } from './typing.settings.js';

export const typingFeature = defineFeature('typing', {
  settings: [typingSettings],
  schema: () => import('./typing.schema.js'),
  changeKinds: () => [typingNotices],
  start(deps) {
    const tracker = typing.of(deps);
    messageSent.on(deps, (conversationId, senderId) => tracker.stop(conversationId, senderId));
    const people = presence.of(deps);
    people.onGone((userId) => tracker.stopAll(userId));
    people.onInvisible((userId) => tracker.stopOnThisNode(userId));
  },
});
