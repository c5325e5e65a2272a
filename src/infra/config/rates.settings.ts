import { defineSettings, setting } from './define-settings.js';
import { flag, rate } from './kinds.js';

/** The end of the description of a rate limit that each node counts on its own. */
export const RATE_PER_NODE =
  'Each node counts by itself, with a token bucket: this many calls can be made at once, and further ones become available evenly over the period.';

export const rateSettings = defineSettings('Rate limits', {
  RATE_LIMITS: setting(flag, {
    default: 'on',
    description:
      'Whether rates are limited, and also the number of connections and the memory that one user or address may use. `off` is meant for tests and benchmarks; limits of sizes always apply. An IPv6 address is counted by its first 64 bits. The limits per user do not apply to the service key.',
  }),
  RATE_MUTATION_PER_PERSON: setting(rate, {
    default: '600/1m',
    description: `All mutations of one user that have no rate limit of their own. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
  RATE_UNKNOWN_DOCUMENT_PER_ADDRESS: setting(rate, {
    default: '600/1m',
    description: `GraphQL documents from one address that a node has to parse and validate because they are not in its cache yet. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});
