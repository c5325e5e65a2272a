import type { FullText } from '../../locales/en-screens.ts';

type Text = FullText['protection'];

/** Why a message cannot be shown, for the code of an error; undefined for other codes. */
export const reasonOf = ({ reasons }: Text, code: string): string | undefined =>
  (reasons as Readonly<Record<string, string>>)[code];

/** Why a message cannot be sent. */
export const failureOf = ({ failures }: Text, code: string): string | undefined =>
  (failures as Readonly<Record<string, string>>)[code];
