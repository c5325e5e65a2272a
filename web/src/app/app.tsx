import type { Parley } from '@parley/client';
import { lazy, Suspense, useEffect } from 'react';
import { until, whenIdle } from '../loaded.ts';
import { useText } from '../locales/locale.tsx';
import { useNotifications } from '../notifications.ts';
import { useParley, useReadable } from '../parley.ts';
import { takeInvitation, writeInvitation } from '../preferences.ts';
import { SignIn } from '../routes/account/sign-in.tsx';
import { Chat } from '../routes/chat/chat.tsx';
import { ErrorBoundary } from '../shell/error-boundary.tsx';
import { Notice } from '../shell/notice.tsx';
import { Link, type Route, useNavigation } from '../shell/router.tsx';

const Announcements = lazy(() => import('./announcements.tsx'));
const Invitation = lazy(() => import('../routes/start/invitation.tsx'));
const Recover = lazy(() => import('../routes/account/recover.tsx'));
const Reports = lazy(() => import('../routes/report/reports.tsx'));
const Reset = lazy(() => import('../routes/account/reset.tsx'));
const Settings = lazy(() => import('../routes/settings/settings.tsx'));
const SignUp = lazy(() => import('../routes/account/sign-up.tsx'));

/** Starts what every page needs, but not for its first view: the conversations or, while nobody is signed in, a form. */
async function startLater(parley: Parley): Promise<void> {
  const { session, conversations } = parley;
  const isSignedOut = until(session, ({ status }) => status === 'signedOut');
  await Promise.race([isSignedOut, until(conversations, ({ isLoaded }) => isLoaded)]);
  await whenIdle();
  (await import('./later.ts')).default(parley);
}

export function App() {
  const parley = useParley();
  useEffect(() => {
    void startLater(parley);
  }, [parley]);
  return (
    <ErrorBoundary>
      <Page />
      <Alerts />
    </ErrorBoundary>
  );
}

/** Announces messages and calls while a user is signed in. */
function Alerts() {
  const { status } = useReadable(useParley().session);
  const isLoaded = useNotifications('later') !== undefined;
  return <Suspense>{status === 'signedIn' && isLoaded && <Announcements />}</Suspense>;
}

/** The page of the current route: those of accounts while nobody is signed in, and the others afterwards. */
function Page() {
  const { route, go } = useNavigation();
  const { status } = useReadable(useParley().session);
  const isSignedIn = status === 'signedIn';
  const isAccountPage = ['sign-in', 'sign-up', 'recover', 'reset'].includes(route.name);
  const elsewhere = isSignedIn ? isAccountPage && route.name !== 'reset' : !isAccountPage;
  useEffect(() => {
    if (!elsewhere || status === 'loading') return;
    // An invitation is followed as soon as the user has an account.
    if (route.name === 'invitation') writeInvitation(route.userId);
    const userId = isSignedIn ? takeInvitation() : undefined;
    const afterwards: Route = userId === undefined ? { name: 'home' } : { name: 'invitation', userId };
    const before: Route = { name: route.name === 'invitation' ? 'sign-up' : 'sign-in' };
    go(isSignedIn ? afterwards : before, { replace: true });
  }, [elsewhere, status, isSignedIn, route, go]);
  if (elsewhere || status === 'loading') return null;
  return <Suspense>{pageOf(route)}</Suspense>;
}

function pageOf(route: Route) {
  switch (route.name) {
    case 'sign-in':
      return <SignIn />;
    case 'sign-up':
      return <SignUp />;
    case 'recover':
      return <Recover />;
    case 'reset':
      return <Reset />;
    case 'settings':
      return <Settings />;
    case 'reports':
      return <Reports />;
    case 'not-found':
      return <NotFound />;
    case 'invitation':
      return <Invitation userId={route.userId} />;
    default:
      // The same element for all conversations, so that a search stays open.
      return <Chat />;
  }
}

function NotFound() {
  const { app } = useText();
  return (
    <Notice title={app.notFoundTitle} text={app.notFoundText} isPage>
      <Link to={{ name: 'home' }}>{app.toStart}</Link>
    </Notice>
  );
}
