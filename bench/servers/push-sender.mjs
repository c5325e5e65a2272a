// Sends pushes to the devices of a sink, with the code of Parley or with the package `web-push`. Both keep connections
// open, and send as many pushes at once.
import { createECDH, randomBytes } from 'node:crypto';
import https from 'node:https';
import pLimit from 'p-limit';
import webPush from 'web-push';
import { createDestinations } from '../../dist/infra/outgoing/destinations.js';
import { createOutgoingRequests } from '../../dist/infra/outgoing/requests.js';
import { createVapid, newVapidKeys } from '../../dist/infra/push/vapid.js';
import { createWebPush } from '../../dist/infra/push/web-push.js';

const AT_ONCE = 50;
const DEVICES = 200;
const CONTACT = 'mailto:operator@example.com';
/** As long as the JSON of an ordinary message. */
const TEXT = JSON.stringify({ title: 'A group', body: 'x'.repeat(200), tag: 'x'.repeat(32) });

const { SINK: origin = '', KIND: kind } = process.env;
const devices = Array.from({ length: DEVICES }, (_, number) => ({
  endpoint: `${origin}/${number}`,
  p256dh: createECDH('prime256v1').generateKeys(),
  auth: randomBytes(16),
}));

function parleySender() {
  const requests = createOutgoingRequests({
    destinations: createDestinations([origin]),
    timeoutMs: 10_000,
    bodyMax: 65_536,
    atOncePerOrigin: AT_ONCE,
    waitingPerOriginMax: 1_000_000,
  });
  const push = createWebPush({ requests, authorizationFor: createVapid(newVapidKeys(), CONTACT) });
  return async ({ endpoint, p256dh, auth }) => {
    const { kind: outcome } = await push.send({
      endpoint,
      keys: { p256dh, auth },
      text: TEXT,
      size: 'REGULAR',
      topic: 'x'.repeat(32),
      ttlSeconds: 3_600,
      urgency: 'normal',
    });
    if (outcome !== 'DELIVERED') throw new Error(`a push was not delivered: ${outcome}`);
  };
}

function packageSender() {
  const { publicKey, privateKey } = webPush.generateVAPIDKeys();
  const agent = new https.Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const options = { vapidDetails: { subject: CONTACT, publicKey, privateKey }, TTL: 3_600, urgency: 'normal', agent };
  return ({ endpoint, p256dh, auth }) =>
    webPush.sendNotification(
      { endpoint, keys: { p256dh: p256dh.toString('base64url'), auth: auth.toString('base64url') } },
      TEXT,
      options,
    );
}

const send = kind === 'parley' ? parleySender() : packageSender();

process.on('message', async ({ pushes }) => {
  if (!pushes) return;
  const limit = pLimit(AT_ONCE);
  const [began, before] = [performance.now(), process.cpuUsage()];
  await Promise.all(Array.from({ length: pushes }, (_, number) => limit(() => send(devices[number % DEVICES]))));
  const { user, system } = process.cpuUsage(before);
  process.send({ sent: { ms: performance.now() - began, cpuMs: (user + system) / 1_000 } });
});
process.channel.ref();
process.send({ port: process.pid });
