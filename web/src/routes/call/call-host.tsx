import { callsOf } from '@parley/client/calls';
import { useParley, useReadable } from '../../parley.ts';
import { CallScreen } from './call-screen.tsx';
import { IncomingCall } from './incoming-call.tsx';

/** The calls that ring, and the call of this tab, in front of whatever page is open. */
export default function CallHost() {
  const calls = callsOf(useParley());
  const ringing = useReadable(calls.ringing);
  const current = useReadable(calls.current);
  const [first] = ringing;
  return (
    <>
      {current && <CallScreen view={current} />}
      {first && <IncomingCall key={first.id} call={first} />}
    </>
  );
}
