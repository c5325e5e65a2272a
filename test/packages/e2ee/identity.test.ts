import { expect, it } from 'vitest';
import { ed25519Pair } from '../../../packages/e2ee/src/crypto.js';
import {
  createAccountKeys,
  issueCertificate,
  readCertificate,
  safetyNumber,
  sameIdentity,
  signHistoryKey,
  verifyHistoryKey,
} from '../../../packages/e2ee/src/identity.js';

async function device() {
  return {
    userId: 'VXNlcjox',
    signatureKey: (await ed25519Pair()).publicKey,
    contentKey: (await ed25519Pair()).publicKey,
  };
}

it('a certificate says which keys a device has, and every changed byte is detected', async () => {
  const account = await createAccountKeys();
  const own = await device();
  const bytes = await issueCertificate(account, own, 1_700_000_000_000);
  expect(await readCertificate(bytes)).toEqual({
    ...own,
    identityKey: account.identity.publicKey,
    historyKey: account.history.publicKey,
    issuedAt: 1_700_000_000_000,
  });
  for (let index = 0; index < bytes.length; index++) {
    const changed = bytes.slice();
    changed[index] = (changed[index] as number) ^ 1;
    await expect(readCertificate(changed), `byte ${index}`).rejects.toMatchObject({ code: 'INVALID_CERTIFICATE' });
  }
  await expect(readCertificate(new Uint8Array())).rejects.toMatchObject({ code: 'INVALID_CERTIFICATE' });
});

it('a certificate of another account for the same device names the other identity', async () => {
  const [account, attacker] = [await createAccountKeys(), await createAccountKeys()];
  const forged = await readCertificate(await issueCertificate(attacker, await device()));
  const expected = { userId: 'VXNlcjox', identityKey: account.identity.publicKey };
  expect(sameIdentity(forged, expected)).toBe(false);
});

it('the signature of the history key is valid for that key and identity only', async () => {
  const [account, other] = [await createAccountKeys(), await createAccountKeys()];
  const signature = await signHistoryKey(account);
  const [identity, history] = [account.identity.publicKey, account.history.publicKey];
  expect(await verifyHistoryKey(identity, history, signature)).toBe(true);
  expect(await verifyHistoryKey(identity, other.history.publicKey, signature)).toBe(false);
  expect(await verifyHistoryKey(other.identity.publicKey, history, signature)).toBe(false);
});

it('the safety number is the same for both users, has 60 digits, and depends on both keys and users', async () => {
  const [one, other, third] = [await createAccountKeys(), await createAccountKeys(), await createAccountKeys()].map(
    ({ identity }, index) => ({ userId: `user-${index}`, identityKey: identity.publicKey }),
  ) as [Identity, Identity, Identity];
  const number = await safetyNumber(one, other);
  expect(number).toMatch(/^(\d{5} ){11}\d{5}$/);
  expect(await safetyNumber(other, one)).toBe(number);
  expect(await safetyNumber(one, third)).not.toBe(number);
  expect(await safetyNumber(one, { ...other, identityKey: third.identityKey })).not.toBe(number);
  expect(await safetyNumber(one, { ...other, userId: 'another' })).not.toBe(number);
  // The numbers of a release have to be those of all later ones.
  const fixed = (userId: string, byte: number) => ({ userId, identityKey: new Uint8Array(32).fill(byte) });
  expect(await safetyNumber(fixed('alice', 1), fixed('bob', 2))).toMatchInlineSnapshot(
    `"16210 89293 71882 95330 58287 09148 61651 59347 87337 53845 80321 48898"`,
  );
});

type Identity = { userId: string; identityKey: Uint8Array };
