import { useEffect, useState } from 'react';
import { useText } from '../../locales/locale.tsx';
import { useParley, useViewer } from '../../parley.ts';
import { Icon } from '../../shell/icon.tsx';
import { Notice } from '../../shell/notice.tsx';
import { Link, useNavigation } from '../../shell/router.tsx';

/** Opens the direct conversation with the user who shared the link. */
export default function Invitation({ userId }: { userId: string }) {
  const { app } = useText();
  const parley = useParley();
  const viewerId = useViewer()?.user.id;
  const { go } = useNavigation();
  const [isInvalid, setInvalid] = useState(false);
  useEffect(() => {
    if (viewerId === undefined) return;
    if (viewerId === userId) {
      go({ name: 'home' }, { replace: true });
      return;
    }
    let isCurrent = true;
    parley.openDirect(userId).then(
      ({ id }) => {
        if (isCurrent) go({ name: 'conversation', id }, { replace: true });
      },
      () => {
        if (isCurrent) setInvalid(true);
      },
    );
    return () => {
      isCurrent = false;
    };
    // `go` changes with every page.
  }, [parley, viewerId, userId]);
  if (!isInvalid) return null;
  return (
    <Notice title={app.invitationTitle} text={app.invitationText} icon={<Icon name="alert" size={36} />} isPage>
      <Link to={{ name: 'home' }}>{app.toStart}</Link>
    </Notice>
  );
}
