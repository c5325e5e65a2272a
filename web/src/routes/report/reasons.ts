import type { ReportReason } from '../../generated/screens/graphql.ts';

/** The reasons for a report, in the order in which they are offered. */
export const reasons = [
  'SPAM',
  'HARASSMENT',
  'HATE',
  'VIOLENCE',
  'SEXUAL_CONTENT',
  'SELF_HARM',
  'ILLEGAL',
  'OTHER',
] as const satisfies readonly ReportReason[];
