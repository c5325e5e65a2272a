import type { Deps } from './deps.js';
import { defineExtensionPoint } from './feature.js';

/**
 * The states of servers that a feature needs, for `/ready`: `ok` or `unavailable`, according to the last request to them.
 * They do not affect whether the node is ready, because everything else works without them.
 */
export const nodeParts = defineExtensionPoint<(deps: Deps) => Record<string, string>>('states of parts');
