import { beforeEach, expect, it } from 'vitest';
import { randomBytes } from '../../../packages/e2ee/src/bytes.js';
import { issueCertificate, readCertificate } from '../../../packages/e2ee/src/certificate.js';
import { encode } from '../../../packages/e2ee/src/codec.js';
import { discloseContent, openContent, type Place, sealContent } from '../../../packages/e2ee/src/content.js';
import { aesOpen, aesSeal, ed25519Pair, type KeyPair, label } from '../../../packages/e2ee/src/crypto.js';
import { type AccountKeys, createAccountKeys } from '../../../packages/e2ee/src/identity.js';
import { type ReportedDevice, verifyDisclosure } from '../../../packages/e2ee/src/report.js';

const place: Place = {
  conversationId: 'Conversation_1',
  generation: 1,
  epoch: 7,
  deviceId: 'Device_1',
  clientMessageId: 'one',
  version: 1,
};

const NONCE = new Uint8Array(12);
const HEADER_BYTES = 37;

interface Sender {
  account: AccountKeys;
  content: KeyPair;
  device: ReportedDevice;
}

async function sender(userId = 'User_1'): Promise<Sender> {
  const [account, signature, content] = [await createAccountKeys(), await ed25519Pair(), await ed25519Pair()];
  const keys = { userId, signatureKey: signature.publicKey, contentKey: content.publicKey };
  const certificates = [await issueCertificate(account, keys)];
  return { account, content, device: { userId, signatureKey: signature.publicKey, certificates } };
}

let epochKey: Uint8Array;
let ana: Sender;

beforeEach(async () => {
  epochKey = randomBytes(32);
  ana = await sender();
});

/** The data that content authenticates. */
const dataOf = ({ conversationId, generation, epoch, deviceId, clientMessageId, version }: Place) =>
  encode(label('content 1'), conversationId, { u32: generation }, { u64: epoch }, deviceId, clientMessageId, {
    u32: version,
  });

const seal = ({ content }: Sender, text: string, at: Place = place) =>
  sealContent(epochKey, content.privateKey, at, { text });

it('the key of one message opens this message, and neither another one nor another version of it', async () => {
  const sealed = await seal(ana, 'reported');
  const { messageKey, content } = await discloseContent(epochKey, place, sealed);
  expect(content).toEqual({ text: 'reported' });
  expect(await verifyDisclosure(place, ana.device, sealed, messageKey)).toEqual({
    content: { text: 'reported' },
    version: 1,
  });
  const others = [
    await seal(ana, 'private'),
    await seal(ana, 'reported'),
    await seal(ana, 'edit', { ...place, version: 2 }),
  ];
  for (const other of others) {
    await expect(verifyDisclosure(place, ana.device, other, messageKey)).rejects.toMatchObject({ code: 'TAMPERED' });
    // Nor with what the key of the epoch is used for.
    await expect(openContent(messageKey, ana.content.publicKey, place, other)).rejects.toMatchObject({
      code: 'TAMPERED',
    });
  }
});

it.each([
  ['conversation', { conversationId: 'Conversation_2' }],
  ['generation', { generation: 2 }],
  ['epoch', { epoch: 8 }],
  ['device', { deviceId: 'Device_2' }],
  ['message', { clientMessageId: 'two' }],
])('a reporter cannot move a message to another %s', async (_what, other) => {
  const sealed = await seal(ana, 'said elsewhere');
  const { messageKey } = await discloseContent(epochKey, place, sealed);
  const moved = { ...place, ...other };
  await expect(verifyDisclosure(moved, ana.device, sealed, messageKey)).rejects.toMatchObject({ code: 'TAMPERED' });
  // Encrypting the same signed bytes again for the other place does not help: the signature names the place, too.
  const plain = await aesOpen(messageKey, NONCE, sealed.subarray(HEADER_BYTES), dataOf(place));
  const again = await aesSeal(messageKey, NONCE, plain, dataOf(moved));
  const content = new Uint8Array([...sealed.subarray(0, HEADER_BYTES), ...again]);
  await expect(verifyDisclosure(moved, ana.device, content, messageKey)).rejects.toMatchObject({ code: 'TAMPERED' });
});

it('a reporter, who has the key of the epoch, cannot write in the name of the sender', async () => {
  const ben = await sender('User_2');
  const genuine = await seal(ana, 'genuine');
  const { messageKey } = await discloseContent(epochKey, place, genuine);

  // Signed by the reporter's own device.
  const forged = await seal(ben, 'forged');
  const { messageKey: forgedKey } = await discloseContent(epochKey, place, forged);
  await expect(verifyDisclosure(place, ana.device, forged, forgedKey)).rejects.toMatchObject({ code: 'TAMPERED' });

  // With a certificate of the reporter's device, one that names the sender, and one that is not signed by the account.
  const naming = { userId: 'User_1', signatureKey: ana.device.signatureKey, contentKey: ben.content.publicKey };
  const named = await issueCertificate(ben.account, naming);
  const broken = named.slice();
  broken[broken.length - 1] = (broken[broken.length - 1] as number) ^ 1;
  for (const certificates of [ben.device.certificates, [broken]]) {
    await expect(verifyDisclosure(place, { ...ana.device, certificates }, forged, forgedKey)).rejects.toMatchObject({
      code: 'TAMPERED',
    });
  }

  // Another text with the signature of a genuine message, encrypted under a key that the reporter has chosen.
  const data = dataOf(place);
  const plain = await aesOpen(messageKey, NONCE, genuine.subarray(HEADER_BYTES), data);
  const at = Buffer.from(plain).indexOf('genuine');
  const changed = plain.slice();
  changed.set(Buffer.from('altered'), at);
  const chosen = randomBytes(32);
  for (const [bytes, expected] of [
    [changed, 'TAMPERED'],
    [plain, undefined],
  ] as const) {
    const sealed = await aesSeal(chosen, NONCE, bytes, data);
    const content = new Uint8Array([...genuine.subarray(0, HEADER_BYTES), ...sealed]);
    const result = verifyDisclosure(place, ana.device, content, chosen);
    // The same signed text under another key is accepted: it is what the sender wrote.
    if (expected) await expect(result).rejects.toMatchObject({ code: expected });
    else expect((await result).content.text).toBe('genuine');
  }
});

it('each byte that a reporter changes is noticed', async () => {
  const sealed = await seal(ana, 'canary');
  const { messageKey } = await discloseContent(epochKey, place, sealed);
  // The salt is only needed to derive the key, which is given.
  const salt = { from: 5, to: HEADER_BYTES };
  for (let index = 0; index < sealed.length; index++) {
    if (index >= salt.from && index < salt.to) continue;
    const changed = sealed.slice();
    changed[index] = (changed[index] as number) ^ (1 << (index % 8));
    await expect(verifyDisclosure(place, ana.device, changed, messageKey), `byte ${index}`).rejects.toMatchObject({
      code: index === 0 ? 'UNKNOWN_FORMAT' : 'TAMPERED',
    });
  }
  for (let index = 0; index < messageKey.length; index++) {
    const changed = messageKey.slice();
    changed[index] = (changed[index] as number) ^ 1;
    await expect(verifyDisclosure(place, ana.device, sealed, changed)).rejects.toMatchObject({ code: 'TAMPERED' });
  }
  for (const length of [0, 16, 24, 31, 33]) {
    await expect(verifyDisclosure(place, ana.device, sealed, randomBytes(length))).rejects.toMatchObject({
      code: 'TAMPERED',
    });
  }
});

it('a sender cannot deny a message by replacing the certificate of the device', async () => {
  const sealed = await seal(ana, 'denied');
  const { messageKey } = await discloseContent(epochKey, place, sealed);
  const { userId, signatureKey, certificates } = ana.device;
  const contentKey = (await ed25519Pair()).publicKey;
  const later = [
    await issueCertificate(ana.account, { userId, signatureKey, contentKey }),
    await issueCertificate(await createAccountKeys(), { userId, signatureKey, contentKey }),
  ];
  await expect(
    verifyDisclosure(place, { ...ana.device, certificates: later }, sealed, messageKey),
  ).rejects.toMatchObject({
    code: 'TAMPERED',
  });
  const all = [...later, randomBytes(96), ...certificates];
  const opened = await verifyDisclosure(place, { ...ana.device, certificates: all }, sealed, messageKey);
  expect(opened.content.text).toBe('denied');
  // The device of another account, or another device of the account, is not the one that is stated.
  const other = (await ed25519Pair()).publicKey;
  for (const device of [
    { ...ana.device, userId: 'User_2' },
    { ...ana.device, signatureKey: other },
  ]) {
    await expect(verifyDisclosure(place, device, sealed, messageKey)).rejects.toMatchObject({ code: 'TAMPERED' });
  }
  expect((await readCertificate(certificates[0] as Uint8Array)).userId).toBe(userId);
});
