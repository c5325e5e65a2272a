import type { Message } from '@parley/client';
import { type Call, callsOf } from '@parley/client/calls';
import { useEffect, useState } from 'react';
import { useHasCalls } from '../../calls.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable, useViewer } from '../../parley.ts';
import { CallIcon } from '../../shell/call-icon.tsx';
import { systemText } from '../chat/names.ts';
import styles from './call.module.css';
import { describeCall } from './describe-call.ts';
import { useCallTask } from './use-call-task.tsx';

/** The text of a system message about a call, with a button to call back. */
export default function CallEntry({ message, conversationId }: { message: Message; conversationId: string }) {
  const text = useScreenText();
  const calls = callsOf(useParley());
  const ownId = useViewer()?.user.id;
  const live = useReadable(calls.live);
  const hasCalls = useHasCalls();
  const [call, setCall] = useState<Call>();
  const { run, explanation } = useCallTask();
  useEffect(() => {
    // Without a connection, the data in the message itself is sufficient.
    calls.ofMessage(message.id).then(setCall, () => {});
  }, [calls, message.id]);
  if (!call) return systemText(text, message);
  const { icon, label, isMissed } = describeCall(text, call, ownId);
  const isLive = live.some((each) => each.conversationId === conversationId);
  return (
    <span className={styles.entry} data-missed={isMissed ? '' : undefined}>
      <CallIcon name={icon} size={16} />
      <span>{label}</span>
      {hasCalls && !isLive && (
        <button
          type="button"
          onClick={() => void run(() => calls.start(conversationId, call.kind as 'VOICE' | 'VIDEO'))}
        >
          {icon === 'outgoing' ? text.call.callAgain : text.call.callBack}
        </button>
      )}
      {explanation}
    </span>
  );
}
