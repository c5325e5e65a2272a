import { lazy, Suspense } from 'react';
import { useHasCalls } from '../calls.ts';
import MessageAlert from '../routes/notifications/message-alert.tsx';

const CallHost = lazy(() => import('../routes/call/call-host.tsx'));
const EncryptionHost = lazy(() => import('../routes/encryption/encryption-host.tsx'));

/** What runs on every page while a user is signed in. */
export default function Announcements() {
  const hasCalls = useHasCalls();
  return (
    <>
      <MessageAlert />
      <Suspense>{hasCalls && <CallHost />}</Suspense>
      <Suspense>
        <EncryptionHost />
      </Suspense>
    </>
  );
}
