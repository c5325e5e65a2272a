import type { Parley, Readable } from '@parley/client';
import { PushStateDocument, type PushStateQuery, RemovePushDocument } from '../generated/screens/graphql.ts';
import { showBadge } from './badge.ts';
import { forgetRegistered, REGISTERED_KEY, type Registered, readRegistered, writeRegistered } from './registered.ts';
import { registerDevice, subscribe } from './subscription.ts';

/**
 * Whether this browser receives pushes for the user:
 * - `unknown`: it is being found out.
 * - `on`, `off`: the user has switched them on, or can do it.
 * - `blocked`: the user has forbidden notifications in the browser.
 * - `not-installed`: the app must be on the Home Screen first (iPhone and iPad).
 * - `unsupported`: the browser cannot do it, or the page was not loaded with https.
 */
export type DeviceState = 'unknown' | 'on' | 'off' | 'blocked' | 'not-installed' | 'unsupported';

/** The pushes of this browser. */
export interface Device {
  readonly state: Readable<DeviceState>;
  /**
   * Asks the user to permit notifications, and registers this browser. Call it in response to an action of the user.
   * @throws ParleyError, or DOMException if the push service of the browser cannot be reached.
   */
  turnOn(): Promise<void>;
  /** Ends the pushes of this browser. */
  turnOff(): Promise<void>;
}

const devices = new WeakMap<Parley, Device>();

/** The pushes of this browser, which follow the session of the client: calls with the same client return the same object. */
export function deviceOf(parley: Parley): Device {
  let device = devices.get(parley);
  if (!device) {
    device = createDevice(parley);
    devices.set(parley, device);
  }
  return device;
}

/** How long to wait for the service worker, which is installed by the first visit, in milliseconds. */
const WORKER_TIMEOUT_MS = 30_000;

function createDevice(parley: Parley): Device {
  const listeners = new Set<(state: DeviceState) => void>();
  let state: DeviceState = 'unknown';
  let wasSignedIn = false;
  /** Whether the registration of this page load could not be done yet. */
  let isPending = true;

  function setState(next: DeviceState): void {
    if (next === state) return;
    state = next;
    for (const listener of [...listeners]) listener(next);
  }

  /** Changes of the subscription, one at a time, also of several tabs. */
  const exclusively = <T>(work: () => Promise<T>): Promise<T> => navigator.locks.request('parley-push', work);

  const viewerId = () => {
    const { value } = parley.session;
    return value.status === 'signedIn' ? value.viewer?.user.id : undefined;
  };

  /** Brings the subscription in line with the session, the permission and what the user has chosen. */
  async function follow(registration: ServiceWorkerRegistration): Promise<void> {
    const { value } = parley.session;
    const userId = viewerId();
    if (value.status === 'signedOut') {
      // After a session that the server has ended, the user probably signs in again; otherwise nothing of them remains.
      if (wasSignedIn && !value.ended) forgetRegistered();
      wasSignedIn = false;
      isPending = true;
      setState('unknown');
      await unsubscribe(registration);
      await clear(registration);
    } else if (userId !== undefined) {
      wasSignedIn = true;
      const registered = readRegistered();
      if (registered?.userId === userId) return restore(registration, registered);
      if (registered) {
        forgetRegistered();
        await clear(registration);
      }
      await unsubscribe(registration);
      setState(Notification.permission === 'denied' ? 'blocked' : 'off');
    }
  }

  /** Registers this browser again at the start of the page, as the user has switched its pushes on before. */
  async function restore(registration: ServiceWorkerRegistration, registered: Registered): Promise<void> {
    if (Notification.permission !== 'granted') {
      setState(Notification.permission === 'denied' ? 'blocked' : 'off');
      return;
    }
    if (!isPending && state === 'on') return;
    const subscription = await registration.pushManager.getSubscription();
    if (subscription) setState('on');
    const found = await parley.request(PushStateDocument);
    const session = found.viewer?.sessions.find(({ current }) => current);
    const isKnown = ownPushes(found).length > 0;
    const isSame = subscription?.endpoint === registered.endpoint && session?.id === registered.sessionId;
    // The user has removed this device from the list on another one.
    if (isSame && !isKnown) await end(registration);
    else await register(registration, registered.userId, found);
  }

  async function register(
    registration: ServiceWorkerRegistration,
    userId: string,
    found: PushStateQuery,
  ): Promise<void> {
    const { webPushPublicKey } = found.serverInfo;
    if (webPushPublicKey === null) return end(registration);
    const subscription = await subscribe(registration, webPushPublicKey);
    const { id, session } = await registerDevice(parley, subscription);
    const { endpoint } = subscription;
    writeRegistered({ userId, sessionId: session?.id, endpoint });
    isPending = false;
    setState('on');
    // Those of earlier subscriptions of this browser.
    await removePushes(ownPushes(found).filter((each) => each !== id));
  }

  /** The subscriptions of this session, which are all of this browser. */
  const ownPushes = ({ viewer }: PushStateQuery): string[] =>
    viewer?.pushSubscriptions.flatMap(({ id, kind, session }) => (kind === 'WEB' && session?.current ? id : [])) ?? [];

  async function removePushes(ids: readonly string[]): Promise<void> {
    for (const pushSubscriptionId of ids) await parley.request(RemovePushDocument, { input: { pushSubscriptionId } });
  }

  async function end(registration: ServiceWorkerRegistration): Promise<void> {
    forgetRegistered();
    await unsubscribe(registration);
    setState('off');
  }

  /** Calls `follow` with the service worker, as long as the browser supports pushes. */
  async function run(): Promise<void> {
    const missing = missingSupport();
    if (missing) return setState(missing);
    const registration = await workerWithin(WORKER_TIMEOUT_MS);
    if (!registration) return setState('unsupported');
    // Without a connection, it is repeated when there is one.
    await exclusively(() => follow(registration)).catch(() => {
      if (state === 'unknown' && viewerId() !== undefined) setState('off');
    });
  }

  void run();
  parley.session.subscribe(() => void run());
  parley.connection.subscribe(({ status }) => {
    if (status === 'live' && isPending) void run();
  });
  // Another tab has switched them on or off.
  addEventListener('storage', ({ key }) => {
    if (key === REGISTERED_KEY) void run();
  });
  navigator.permissions
    ?.query({ name: 'notifications' })
    .then((permission) => permission.addEventListener('change', () => void run()))
    .catch(() => {});

  return {
    state: {
      get value() {
        return state;
      },
      subscribe(listener) {
        listeners.add(listener);
        listener(state);
        return () => listeners.delete(listener);
      },
    },
    async turnOn() {
      // First, because browsers only ask while they handle what the user has pressed.
      const permission = await Notification.requestPermission();
      if (permission !== 'granted') return setState(permission === 'denied' ? 'blocked' : 'off');
      const registration = await navigator.serviceWorker.ready;
      await exclusively(async () => {
        const userId = viewerId();
        if (userId !== undefined) await register(registration, userId, await parley.request(PushStateDocument));
      });
    },
    async turnOff() {
      const registration = await navigator.serviceWorker.ready;
      await exclusively(async () => {
        // The server removes the device as well when the push service rejects the next push.
        await end(registration);
        await removePushes(ownPushes(await parley.request(PushStateDocument))).catch(() => {});
      });
    },
  };
}

/** Ends the subscription of the browser: from now on, no push arrives. */
async function unsubscribe({ pushManager }: ServiceWorkerRegistration): Promise<void> {
  await (await pushManager.getSubscription())?.unsubscribe();
}

/** Removes what pushes have shown. */
async function clear(registration: ServiceWorkerRegistration): Promise<void> {
  for (const notification of await registration.getNotifications()) notification.close();
  showBadge(0);
}

/** Why this browser cannot receive pushes; undefined if it can. */
function missingSupport(): 'not-installed' | 'unsupported' | undefined {
  const isSupported = ['serviceWorker', 'locks'].every((name) => name in navigator) && 'Notification' in window;
  if (isSupported && 'PushManager' in window) return undefined;
  return isSecureContext && isAppleTouch() && !matchMedia('(display-mode: standalone)').matches
    ? 'not-installed'
    : 'unsupported';
}

/** Whether this is an iPhone or an iPad, whose browsers report a Mac. */
const isAppleTouch = () =>
  /iP(?:hone|ad|od)/.test(navigator.userAgent) ||
  (navigator.userAgent.includes('Macintosh') && navigator.maxTouchPoints > 1);

/** The service worker; undefined if there is none after some time, as in development. */
const workerWithin = (milliseconds: number): Promise<ServiceWorkerRegistration | undefined> =>
  Promise.race([navigator.serviceWorker.ready, new Promise<undefined>((resolve) => setTimeout(resolve, milliseconds))]);
