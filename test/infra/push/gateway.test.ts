import { expect, it } from 'vitest';
import { createDestinations } from '../../../src/infra/outgoing/destinations.js';
import { createOutgoingRequests } from '../../../src/infra/outgoing/requests.js';
import { createPushGateway } from '../../../src/infra/push/gateway.js';
import { atEnd } from '../../support/ending.js';
import { startPushService } from '../../support/push-service.js';

const message = {
  appId: 'com.example.chat',
  pushKey: 'device token',
  registeredAt: 1_700_000_000,
  about: { conversationId: 'Conversation_1', eventId: 'Message_1' },
  unreadCount: 3,
  urgency: 'high',
} as const;

async function start(path = '') {
  const service = await startPushService();
  const requests = createOutgoingRequests({
    destinations: createDestinations([service.origin]),
    timeoutMs: 2_000,
    bodyMax: 1_000,
    atOncePerOrigin: 5,
    waitingPerOriginMax: 100,
  });
  atEnd(() => requests.close());
  service.answer(() => ({ status: 200, body: '{"rejected":[]}' }));
  return { service, gateway: createPushGateway({ requests, url: `${service.origin}${path}` }) };
}

it("receives ids only, in the form of Matrix's Push Gateway API", async () => {
  const { service, gateway } = await start();
  expect(await gateway.send(message)).toEqual({ kind: 'DELIVERED' });
  const [push] = service.pushes;
  expect(push?.path).toBe('/_matrix/push/v1/notify');
  expect(push?.headers['content-type']).toBe('application/json');
  expect(JSON.parse(String(push?.body))).toEqual({
    notification: {
      event_id: 'Message_1',
      room_id: 'Conversation_1',
      counts: { unread: 3 },
      prio: 'high',
      devices: [
        {
          app_id: 'com.example.chat',
          pushkey: 'device token',
          pushkey_ts: 1_700_000_000,
          data: { format: 'event_id_only' },
          tweaks: {},
        },
      ],
    },
  });
});

it('can be below a path', async () => {
  const { service, gateway } = await start('/push');
  await gateway.send(message);
  expect(service.pushes[0]?.path).toBe('/push/_matrix/push/v1/notify');
});

it.each([
  [{ status: 200, body: '{"rejected":["device token"]}' }, { kind: 'GONE' }],
  [{ status: 200, body: '{"rejected":["another"]}' }, { kind: 'DELIVERED' }],
  [{ status: 200, body: '{}' }, { kind: 'DELIVERED' }],
  [{ status: 200, body: 'no JSON' }, { kind: 'UNAVAILABLE' }],
  // The address of the gateway is wrong, not the device.
  [{ status: 404 }, { kind: 'REJECTED', status: 404 }],
  [{ status: 400 }, { kind: 'REJECTED', status: 400 }],
  [
    { status: 502, headers: { 'retry-after': '9' } },
    { kind: 'UNAVAILABLE', status: 502, afterMs: 9_000 },
  ],
])('answers %j: %j', async (answer, outcome) => {
  const { service, gateway } = await start();
  service.answer(() => answer);
  expect(await gateway.send(message)).toMatchObject(outcome);
});
