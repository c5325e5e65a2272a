import type { Parley } from '@parley/client';
import { encryptParley, type ParleyEncryption } from '@parley/client/encryption';
import type { E2ee } from '@parley/e2ee';
import type { Encryption } from './types.ts';
import { createValue, type Value } from './value.ts';

const values = new WeakMap<Parley, Value<ParleyEncryption | undefined>>();

/** What opens encrypted messages and files; undefined unless this browser has the keys of the user. */
export function sealedOf(parley: Parley): Value<ParleyEncryption | undefined> {
  const value = values.get(parley) ?? createValue<ParleyEncryption | undefined>(undefined);
  values.set(parley, value);
  return value;
}

/** Lets the messages of a client be encrypted and opened whenever this browser has the keys of the user. */
export function connectMessages(parley: Parley, encryption: Encryption): void {
  const value = sealedOf(parley);
  let connected: E2ee | undefined;
  const use = async (e2ee: E2ee | undefined) => {
    if (e2ee === connected) return;
    connected = e2ee;
    value.value?.close();
    value.set(undefined);
    if (!e2ee) return;
    const { decryptAttachment, encryptAttachment } = await import('@parley/e2ee');
    if (connected === e2ee) value.set(encryptParley(parley, e2ee, { encryptAttachment, decryptAttachment }));
  };
  encryption.state.subscribe(({ status }) => void use(status === 'ready' ? encryption.e2ee : undefined));
  // The user can have accepted a changed identity, whose messages can then be opened.
  encryption.changes.subscribe(() => value.value?.reopen());
}
