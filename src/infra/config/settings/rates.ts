import { defineSettings, setting } from '../define-settings.js';
import { flag, type Rate, rate } from '../kinds.js';

const perNode = 'This is a token bucket on each node: that many calls at once, and then evenly over the period.';

export const rateSettings = defineSettings(
  'Rate limits',
  {
    RATE_LIMITS: setting(flag, {
      default: 'on',
      description:
        'Whether rates are limited, and the number of connections and the memory that one person or address may use. `off` is meant for tests and benchmarks; limits of sizes always apply. An IPv6 address is counted by its first 64 bits. Calls with the service key are not limited per person.',
    }),
    RATE_SIGN_IN_PER_ADDRESS: setting(rate, {
      default: '60/10m',
      description: 'Failed sign-ins from one address, to any account.',
      rateLimit: true,
    }),
    RATE_SIGN_IN_PER_ACCOUNT: setting(rate, {
      default: '100/1h',
      description:
        'Failed sign-ins to one account from addresses where that account has not signed in before. Failed attempts of strangers therefore do not lock out a person at their usual address.',
      rateLimit: true,
    }),
    RATE_SIGN_IN_PER_ACCOUNT_AND_ADDRESS: setting(rate, {
      default: '10/10m',
      description: 'Failed sign-ins to one account from one address.',
      rateLimit: true,
    }),
    RATE_SESSION_PER_ACCOUNT: setting(rate, {
      default: '100/1h',
      description: 'Successful sign-ins to one account with its password.',
      rateLimit: true,
    }),
    RATE_REGISTRATION_PER_ADDRESS: setting(rate, {
      default: '30/1h',
      description: 'Registrations from one address, successful or not.',
      rateLimit: true,
    }),
    RATE_PASSWORD_RESET_PER_ADDRESS: setting(rate, {
      default: '20/1h',
      description: 'Requests for password reset mails and invalid reset tokens from one address.',
      rateLimit: true,
    }),
    RATE_REFRESH_PER_ADDRESS: setting(rate, {
      default: '100/10m',
      description: 'Invalid refresh tokens from one address.',
      rateLimit: true,
    }),
    RATE_REFRESH_PER_SESSION: setting(rate, {
      default: '60/10m',
      description: 'Refreshes of one session.',
      rateLimit: true,
    }),
    RATE_SEND_PER_PERSON: setting(rate, {
      default: '120/1m',
      description: `Messages that one person sends. ${perNode}`,
      rateLimit: true,
    }),
    RATE_MUTATION_PER_PERSON: setting(rate, {
      default: '600/1m',
      description: `All other mutations of one person. ${perNode}`,
      rateLimit: true,
    }),
    RATE_OPEN_DIRECT_PER_PERSON: setting(rate, {
      default: '120/1h',
      description: `Direct conversations that one person creates; opening an existing one is not counted. ${perNode}`,
      rateLimit: true,
    }),
    RATE_SEARCH_PER_PERSON: setting(rate, {
      default: '120/1m',
      description: `Searches of one person. ${perNode}`,
      rateLimit: true,
    }),
    RATE_UNKNOWN_DOCUMENT_PER_ADDRESS: setting(rate, {
      default: '600/1m',
      description: `GraphQL documents from one address that a node has to parse and validate because it does not know them yet. ${perNode}`,
      rateLimit: true,
    }),
  },
  ({ rateLimits, ...values }) => ({ rateLimits, rates: ratesOf(values) }),
);

/** `rateSendPerPerson` as `sendPerPerson`. */
type Rates<Values> = {
  [Name in keyof Values as Name extends `rate${infer Rest}` ? Uncapitalize<Rest> : never]: Values[Name];
};

/** Rates that are undefined have no limit. */
const ratesOf = <Values extends Record<string, Rate | undefined>>(values: Values) =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [
      name.replace(/^rate(\w)/, (_, letter: string) => letter.toLowerCase()),
      value,
    ]),
  ) as Rates<Values>;
