import type { OutboxEntry } from '@parley/client';
import { useScreenText } from '../../locales/screens.ts';
import { failureOf } from './reasons.ts';

/** Why a message was not sent. */
export default function Failure({ error: { code, message } }: { error: NonNullable<OutboxEntry['error']> }) {
  return failureOf(useScreenText().protection, code) ?? message;
}
