import { encodeGlobalId } from '../../core/ids.js';
import type { Config } from '../../infra/config/config.js';
import { createDestinations } from '../../infra/outgoing/destinations.js';
import { createOutgoingRequests } from '../../infra/outgoing/requests.js';
import { createPushGateway, type GatewayMessage } from '../../infra/push/gateway.js';
import type { PushOutcome } from '../../infra/push/outcome.js';
import { createVapid, type VapidAuthorization } from '../../infra/push/vapid.js';
import { createWebPush } from '../../infra/push/web-push.js';
import type { Deps } from '../../platform/deps.js';
import { type PushContent, payloadOf } from './push.payload.js';
import type { DuePush } from './push.store.js';
import { vapidKeys } from './vapid-keys.js';

/** Sends pushes to devices, each over the transport of its subscription. */
export interface Senders {
  /** The origin of the server to which a push is sent; undefined if its transport is switched off. */
  originOf(push: Pick<DuePush, 'kind' | 'endpoint'>): string | undefined;
  /** Never throws, except if the keys of Web Push cannot be loaded. */
  send(push: DuePush, content: PushContent, delivery: PushDelivery): Promise<PushOutcome>;
  /** Sends the app of a gateway only the number of unread messages. Never throws. */
  sendBadge(device: GatewayDevice, unreadCount: number): Promise<PushOutcome>;
  close(): void;
}

/** A device of a gateway. */
export type GatewayDevice = Pick<DuePush, 'appId' | 'endpoint' | 'registeredAt'>;

/** How a push is delivered. */
interface PushDelivery {
  urgency: 'normal' | 'high';
  /** How long the push service keeps it for a device that is offline, in milliseconds. */
  ttlMs: number;
}

/** The maximum number of bytes that are read of an answer. */
const ANSWER_MAX_BYTES = 65_536;

/** The URL by which push services reach the operator; undefined if none is configured. */
const contactOf = ({ pushContact, smtpUrl, mailFrom }: Config): string | undefined =>
  pushContact ?? (smtpUrl === undefined ? undefined : `mailto:${mailFrom.address}`);

export function createSenders(deps: Deps): Senders {
  const { config } = deps;
  const limits = {
    timeoutMs: config.pushTimeoutMs,
    bodyMax: ANSWER_MAX_BYTES,
    atOncePerOrigin: config.pushAtOncePerService,
    waitingPerOriginMax: config.pushAtOnce,
  };
  const destinations = createDestinations(config.pushHosts);
  const requests = createOutgoingRequests({ ...limits, destinations });
  const { pushGatewayUrl } = config;
  const gatewayOrigin = pushGatewayUrl === undefined ? undefined : new URL(pushGatewayUrl).origin;
  // The operator has named the gateway, which is usually in a private network.
  const toGateway = createOutgoingRequests({
    ...limits,
    destinations: createDestinations(gatewayOrigin === undefined ? [] : [gatewayOrigin]),
  });
  const gateway =
    pushGatewayUrl === undefined ? undefined : createPushGateway({ requests: toGateway, url: pushGatewayUrl });
  let authorization: VapidAuthorization | undefined;

  const webPush = createWebPush({
    requests,
    async authorizationFor(origin) {
      if (!authorization) {
        const keys = await vapidKeys.of(deps)();
        if (!keys) throw new Error('Web Push is switched off.');
        authorization = createVapid(keys, contactOf(config));
      }
      return authorization(origin);
    },
  });

  async function sendWeb(push: DuePush, content: PushContent, { urgency, ttlMs }: PushDelivery): Promise<PushOutcome> {
    const { endpoint, p256dh, auth } = push;
    if (!p256dh || !auth) return { kind: 'GONE' };
    const message = {
      endpoint,
      keys: { p256dh, auth },
      topic: content.tag,
      ttlSeconds: Math.ceil(ttlMs / 1_000),
      urgency,
    };
    const outcome = await webPush.send({ ...message, text: payloadOf(content, 'REGULAR'), size: 'REGULAR' });
    if (outcome.kind !== 'TOO_LARGE') return outcome;
    return webPush.send({ ...message, text: payloadOf(content, 'SMALL'), size: 'SMALL' });
  }

  async function sendGateway(
    { appId, endpoint, registeredAt }: GatewayDevice,
    what: Pick<GatewayMessage, 'about' | 'unreadCount' | 'urgency'>,
  ): Promise<PushOutcome> {
    const device = { appId, pushKey: endpoint, registeredAt: Math.floor(registeredAt.getTime() / 1_000) };
    return (await gateway?.send({ ...device, ...what })) ?? { kind: 'REJECTED', status: undefined };
  }

  return {
    originOf({ kind, endpoint }) {
      if (kind === 'GATEWAY') return gatewayOrigin;
      return config.webPush ? new URL(endpoint).origin : undefined;
    },
    async send(push, content, delivery) {
      if (push.kind === 'WEB') return sendWeb(push, content, delivery);
      const about = {
        conversationId: encodeGlobalId('Conversation', content.conversation.id),
        eventId: content.notice?.id ?? encodeGlobalId('Message', content.message.id),
      };
      return sendGateway(push, { about, unreadCount: content.unreadCount, urgency: delivery.urgency });
    },
    sendBadge: (device, unreadCount) => sendGateway(device, { unreadCount, urgency: 'normal' }),
    close() {
      requests.close();
      toGateway.close();
    },
  };
}
