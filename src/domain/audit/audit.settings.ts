import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { duration, integer } from '../../infra/config/kinds.js';

export const auditSettings = defineSettings('Audit log', {
  AUDIT_RETENTION: setting(duration('30d'), {
    default: '365d',
    description: 'How long entries of the audit log are kept. See docs/AUDIT.md.',
  }),
  AUDIT_REFUSALS_MAX: setting(integer(1, 10_000), {
    default: '10',
    description:
      'The maximum number of denied attempts that a node records one by one, per account and per address in a minute. It records the rest as one entry with their number.',
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof auditSettings> {}
}
