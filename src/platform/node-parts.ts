import type { Deps } from './deps.js';
import { defineExtensionPoint } from './feature.js';

/**
 * The states of servers that a feature needs, for `/ready`: `ok` or `unavailable`, as the last request to them has shown.
 * They do not decide whether the node is ready, because it can do everything else.
 */
export const nodeParts = defineExtensionPoint<(deps: Deps) => Record<string, string>>('states of parts');
