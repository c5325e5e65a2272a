import { defineSettings, setting } from './define-settings.js';
import { flag, rate } from './kinds.js';

/** Ends the description of a rate that is counted in memory. */
export const RATE_PER_NODE =
  'This is a token bucket on each node: that many calls at once, and then evenly over the period.';

export const rateSettings = defineSettings('Rate limits', {
  RATE_LIMITS: setting(flag, {
    default: 'on',
    description:
      'Whether rates are limited, and the number of connections and the memory that one person or address may use. `off` is meant for tests and benchmarks; limits of sizes always apply. An IPv6 address is counted by its first 64 bits. Calls with the service key are not limited per person.',
  }),
  RATE_MUTATION_PER_PERSON: setting(rate, {
    default: '600/1m',
    description: `All other mutations of one person. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
  RATE_UNKNOWN_DOCUMENT_PER_ADDRESS: setting(rate, {
    default: '600/1m',
    description: `GraphQL documents from one address that a node has to parse and validate because it does not know them yet. ${RATE_PER_NODE}`,
    rateLimit: true,
  }),
});
