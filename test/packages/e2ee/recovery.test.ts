import { expect, it } from 'vitest';
import { randomBytes } from '../../../packages/e2ee/src/bytes.js';
import { createAccountKeys } from '../../../packages/e2ee/src/identity.js';
import {
  createRecoveryKey,
  openEpochKey,
  openVault,
  sealEpochKey,
  sealVault,
} from '../../../packages/e2ee/src/recovery.js';

const epoch = { conversationId: 'Q29udmVyc2F0aW9uOjE', generation: 1, epoch: 5 };

it('the recovery key opens the vault, also if it is typed with other spaces and capitals', async () => {
  const account = { ...(await createAccountKeys()), formerHistory: [randomBytes(32), randomBytes(32)] };
  const words = createRecoveryKey();
  expect(words.split(' ')).toHaveLength(12);
  const vault = await sealVault(words, 'user', account);
  expect(await openVault(words, 'user', vault)).toEqual(account);
  expect(await openVault(`  ${words.toUpperCase().replaceAll(' ', '\n ')} `, 'user', vault)).toEqual(account);
});

it('another recovery key, another user and a changed vault are refused', async () => {
  const words = createRecoveryKey();
  const vault = await sealVault(words, 'user', await createAccountKeys());
  await expect(openVault(createRecoveryKey(), 'user', vault)).rejects.toMatchObject({ code: 'WRONG_RECOVERY_KEY' });
  await expect(openVault(words, 'another', vault)).rejects.toMatchObject({ code: 'WRONG_RECOVERY_KEY' });
  for (let index = 0; index < vault.length; index++) {
    const changed = vault.slice();
    changed[index] = (changed[index] as number) ^ 1;
    await expect(openVault(words, 'user', changed), `byte ${index}`).rejects.toMatchObject({
      code: index === 0 ? 'UNKNOWN_FORMAT' : 'WRONG_RECOVERY_KEY',
    });
  }
});

it.each([
  ['too few words', (words: string) => words.split(' ').slice(1).join(' ')],
  ['an unknown word', (words: string) => words.replace(/^\w+/, 'parleyish')],
  ['no words', () => ''],
  ['a key of another length', () => `${'abandon '.repeat(23)}art`],
])('%s are not a recovery key', async (_, change) => {
  const words = createRecoveryKey();
  const vault = await sealVault(words, 'user', await createAccountKeys());
  await expect(openVault(change(words), 'user', vault)).rejects.toMatchObject({ code: 'INVALID_RECOVERY_KEY' });
});

it('the key of an epoch is sealed for one account and one epoch, in 80 bytes', async () => {
  const [account, other] = [await createAccountKeys(), await createAccountKeys()];
  const key = randomBytes(32);
  const sealed = await sealEpochKey([account.history.publicKey], epoch, key);
  expect(sealed).toHaveLength(80);
  expect(await openEpochKey(account, epoch, sealed)).toEqual(key);
  expect(await openEpochKey(other, epoch, sealed)).toBeUndefined();
  for (const change of [{ epoch: 6 }, { generation: 2 }, { conversationId: 'x' }]) {
    expect(await openEpochKey(account, { ...epoch, ...change }, sealed)).toBeUndefined();
  }
  for (let index = 0; index < sealed.length; index++) {
    const changed = sealed.slice();
    changed[index] = (changed[index] as number) ^ 0x40;
    // X25519 ignores the highest bit of a public key, which is not this one.
    expect(await openEpochKey(account, epoch, changed), `byte ${index}`).toBeUndefined();
  }
});

it('what was sealed for a former history key is opened', async () => {
  const [before, after] = [await createAccountKeys(), await createAccountKeys()];
  const key = randomBytes(32);
  const sealed = await sealEpochKey([before.history.publicKey], epoch, key);
  expect(await openEpochKey({ ...after, formerHistory: [before.history.privateKey] }, epoch, sealed)).toEqual(key);
});

it('a key that is sealed for several identities of an account is opened with each of them', async () => {
  const accounts = [await createAccountKeys(), await createAccountKeys()];
  const key = randomBytes(32);
  const sealed = await sealEpochKey(
    accounts.map(({ history }) => history.publicKey),
    epoch,
    key,
  );
  for (const account of accounts) expect(await openEpochKey(account, epoch, sealed)).toEqual(key);
});

it('of a value with any number of sealed keys, only as many are tried as a client seals', async () => {
  const [account, other] = [await createAccountKeys(), await createAccountKeys()];
  const key = randomBytes(32);
  const others = (count: number) => Array<Uint8Array>(count).fill(other.history.publicKey);
  const sealedAfter = (count: number) => sealEpochKey([...others(count), account.history.publicKey], epoch, key);
  expect(await openEpochKey(account, epoch, await sealedAfter(7))).toEqual(key);
  expect(await openEpochKey(account, epoch, await sealedAfter(8))).toBeUndefined();
});
