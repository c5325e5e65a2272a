import type { OutgoingRequests } from '../outgoing/requests.js';
import { failureOf, outcomeOfError, type PushOutcome } from './outcome.js';

export interface GatewayMessage {
  /** The app and the device as the app has registered them. */
  appId: string;
  pushKey: string;
  /** When the device was registered, in seconds since 1970. */
  registeredAt: number;
  /**
   * The ids with which the app loads what the push reports: `eventId` is that of the message, or of what the push is about
   * instead. Absent if only the number has changed.
   */
  about?: { conversationId: string; eventId: string };
  /** The number to show on the app's icon. */
  unreadCount: number;
  urgency: 'normal' | 'high';
}

/**
 * Sends pushes to a gateway that supports the Push Gateway API of Matrix (Sygnal and others), which passes them on to
 * APNs and FCM. It receives ids and a number only.
 */
export interface PushGateway {
  /** Never throws: failures are outcomes. GONE: the gateway has rejected the device. */
  send(message: GatewayMessage): Promise<PushOutcome>;
}

const PATH = '_matrix/push/v1/notify';

/** @param url the URL of the gateway, before the path of the API. */
export function createPushGateway({ requests, url }: { requests: OutgoingRequests; url: string }): PushGateway {
  const address = new URL(PATH, url.endsWith('/') ? url : `${url}/`);
  return {
    async send({ appId, pushKey, registeredAt, about, unreadCount, urgency }) {
      const notification = {
        ...(about && { event_id: about.eventId, room_id: about.conversationId }),
        counts: { unread: unreadCount },
        prio: urgency === 'high' ? 'high' : 'low',
        devices: [
          { app_id: appId, pushkey: pushKey, pushkey_ts: registeredAt, data: { format: 'event_id_only' }, tweaks: {} },
        ],
      };
      try {
        const response = await requests.post(
          address,
          { 'content-type': 'application/json' },
          Buffer.from(JSON.stringify({ notification })),
        );
        if (response.status !== 200) {
          // A wrong address of the gateway must not end the subscriptions of all devices.
          const failure = failureOf(response);
          return failure.kind === 'GONE' ? { kind: 'REJECTED', status: response.status } : failure;
        }
        const { rejected } = JSON.parse(response.body.toString('utf8')) as { rejected?: unknown };
        return { kind: Array.isArray(rejected) && rejected.includes(pushKey) ? 'GONE' : 'DELIVERED' };
      } catch (error) {
        return outcomeOfError(error);
      }
    },
  };
}
