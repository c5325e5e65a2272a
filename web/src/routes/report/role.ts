import { useEffect, useState } from 'react';
import { ModeratorDocument } from '../../generated/screens/graphql.ts';
import { useParley } from '../../parley.ts';

/** Whether the user is a moderator of the service; undefined until the server has answered. */
export function useIsModerator(): boolean | undefined {
  const parley = useParley();
  const [isModerator, setModerator] = useState<boolean>();
  useEffect(() => {
    parley.request(ModeratorDocument).then(
      ({ viewer }) => setModerator(viewer !== null && viewer.serviceRole !== 'USER'),
      // The link to the reports is missing until the page is opened again.
      () => {},
    );
  }, [parley]);
  return isModerator;
}
