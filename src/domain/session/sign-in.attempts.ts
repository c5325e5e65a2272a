import type { Deps } from '../../platform/deps.js';
import { clientNetwork, countingFailures } from '../../platform/rates.js';
import { signedInAt, signInPerAccount, signInPerAccountAndAddress, signInPerAddress } from './session.rates.js';

/**
 * Checks the password of an account within the limits of wrong passwords: per address, per account and address, and per
 * account from all addresses where it has not signed in before. The last limit stops an attacker with many addresses;
 * meanwhile the owner can still sign in from known addresses, but not from new ones. Correct passwords are not counted.
 * @param account the given name, also for accounts that do not exist.
 * @param wrong the error that `check` throws for a wrong password.
 * @throws {ChatError} RATE_LIMITED before the password is checked, so that the correct one is rejected as well.
 */
export async function checkPassword<T>(deps: Deps, account: string, wrong: Error, check: () => Promise<T>): Promise<T> {
  const network = clientNetwork();
  const known = network !== undefined && (await signedInAt.of(deps).has(account, network));
  return countingFailures(
    [
      ...(network === undefined ? [] : [[signInPerAddress.of(deps), network] as const]),
      ...(network === undefined ? [] : [[signInPerAccountAndAddress.of(deps), account, network] as const]),
      ...(known ? [] : [[signInPerAccount.of(deps), account] as const]),
    ],
    (error) => error === wrong,
    check,
  );
}

/**
 * Remembers the current address as one of the user's; to be called with every name with which the account can sign in.
 */
export async function rememberAddress(deps: Deps, ...names: string[]): Promise<void> {
  const network = clientNetwork();
  if (network === undefined) return;
  await Promise.all(names.map((name) => signedInAt.of(deps).add(name, network)));
}
