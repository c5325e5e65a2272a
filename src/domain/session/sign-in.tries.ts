import type { Deps } from '../../platform/deps.js';
import { clientNetwork, countingFailures } from '../../platform/rates.js';
import { signedInAt, signInPerAccount, signInPerAccountAndAddress, signInPerAddress } from './session.rates.js';

/**
 * Checks a password of an account, as often as may be: so many wrong ones from one address, for one account from one
 * address, and for one account from all addresses where it has not been signed in to. That last one is what an attacker
 * with many addresses meets, and, as long as that lasts, a person who is at a new place: not at the old ones.
 * Who gives the right password has used up none of it.
 *
 * @param account whatever was given to name it: alike for accounts that do not exist.
 * @param wrong what `check` throws when the password is.
 * @throws {ChatError} RATE_LIMITED before the password is looked at: also the right one waits.
 */
export async function tryPassword<T>(deps: Deps, account: string, wrong: Error, check: () => Promise<T>): Promise<T> {
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

/** Whoever has signed in is at one of their addresses: to be called with each name that the account signs in with. */
export async function rememberAddress(deps: Deps, ...names: string[]): Promise<void> {
  const network = clientNetwork();
  if (network === undefined) return;
  await Promise.all(names.map((name) => signedInAt.of(deps).add(name, network)));
}
