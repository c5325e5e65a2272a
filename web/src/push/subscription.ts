import type { Parley } from '@parley/client';
import { type PushFieldsFragment, RegisterPushDocument } from '../generated/screens/graphql.ts';

// Used by pages and by the service worker.

/**
 * The subscription of this browser with the key of the server (`serverInfo.webPushPublicKey`). One with another key is
 * replaced.
 * @throws DOMException if the user has not permitted notifications, or the push service of the browser cannot be reached.
 */
export async function subscribe(
  { pushManager }: ServiceWorkerRegistration,
  publicKey: string,
): Promise<PushSubscription> {
  const existing = await pushManager.getSubscription();
  if (existing && keyOf(existing) === publicKey) return existing;
  await existing?.unsubscribe();
  return pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: publicKey });
}

/** Registers a subscription of this browser with the server. It changes nothing if that is registered already. */
export async function registerDevice(
  parley: Pick<Parley, 'request'>,
  subscription: PushSubscription,
): Promise<PushFieldsFragment> {
  const { endpoint = '', keys = {} } = subscription.toJSON();
  const web = { endpoint, p256dh: keys['p256dh'] ?? '', auth: keys['auth'] ?? '' };
  const { registerPush } = await parley.request(RegisterPushDocument, { input: { web } });
  if (!registerPush) throw new Error('The device was not registered.');
  return registerPush.pushSubscription;
}

/** The key of the server with which a subscription was made, in base64url. */
function keyOf({ options }: PushSubscription): string | undefined {
  const key = options.applicationServerKey;
  if (!key) return undefined;
  const text = btoa(String.fromCharCode(...new Uint8Array(key)));
  return text.replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}
