import { defineMessageChangeType, defineMessagePart } from '../message/message.part.js';

export const pinned = defineMessageChangeType('PINNED', 'The message was pinned.');
export const unpinned = defineMessageChangeType('UNPINNED', 'The message was unpinned.');

export const pinsPart = defineMessagePart('pins', { changes: [pinned, unpinned], cleared: { pinnedAt: null } });
