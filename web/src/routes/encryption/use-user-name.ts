import type { Parley } from '@parley/client';
import { useEffect, useState } from 'react';
import { ProfileDocument } from '../../generated/screens/graphql.ts';
import { useParley } from '../../parley.ts';

const names = new WeakMap<Parley, Map<string, string>>();

/** The name of a user, which is fetched once; undefined until then. */
export function useUserName(userId: string): string | undefined {
  const parley = useParley();
  const known = names.get(parley) ?? new Map<string, string>();
  names.set(parley, known);
  const [, update] = useState({});
  useEffect(() => {
    if (known.has(userId)) return;
    parley.request(ProfileDocument, { id: userId }).then(
      ({ user }) => {
        known.set(userId, user?.displayName ?? '');
        update({});
      },
      () => {},
    );
  }, [parley, known, userId]);
  return known.get(userId);
}
