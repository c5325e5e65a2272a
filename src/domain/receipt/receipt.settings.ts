import { defineSettings, type SectionValues, setting } from '../../infra/config/define-settings.js';
import { integer } from '../../infra/config/kinds.js';

export const receiptSettings = defineSettings('Receipts, presence and typing', {
  RECEIPT_MAX_MEMBERS: setting(integer(2, 10_000), {
    default: '250',
    description:
      'The size up to which a conversation has receipts. In larger ones, nobody sees how far others have read, and messages stay `SENT`.',
    clientDescription:
      "The maximum number of members of a group with receipts. In larger groups, members cannot see each other's marks, and the status of messages stays SENT.",
  }),
});

declare module '../../infra/config/config.js' {
  interface Config extends SectionValues<typeof receiptSettings> {}
}
