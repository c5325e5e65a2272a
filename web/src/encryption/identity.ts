import type { TrustState } from '@parley/e2ee';
import { useEffect, useState } from 'react';
import { useReadable } from '../parley.ts';
import type { Encryption } from './types.ts';

/** What this browser knows of the identity of a user; undefined while it is being read, or without keys. */
export function useIdentity(encryption: Encryption, userId: string): TrustState | undefined {
  const { status } = useReadable(encryption.state);
  const revision = useReadable(encryption.revision);
  const [identity, setIdentity] = useState<TrustState>();
  useEffect(() => {
    let isCurrent = true;
    encryption.e2ee?.identity(userId).then(
      (found) => isCurrent && setIdentity(found),
      () => {},
    );
    return () => {
      isCurrent = false;
    };
  }, [encryption, userId, status, revision]);
  return status === 'ready' ? identity : undefined;
}
