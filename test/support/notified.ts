import type { RunningNode } from '../../src/server/start.js';
import { untilNotified } from './notifier.js';

/** Resolves when the notifier of a node has read these messages, which have been sent. */
export const notified = (node: RunningNode, ..._messages: { id: string }[]): Promise<void> => untilNotified(node);
