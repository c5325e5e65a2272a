import { peopleOf } from '@parley/client/people';
import { type ReactNode, useEffect, useState } from 'react';
import { useReadyEncryption } from '../../encryption/ready.ts';
import { ProfileDocument, type ProfileQuery } from '../../generated/screens/graphql.ts';
import { useScreenText } from '../../locales/screens.ts';
import { usePane } from '../../pane.ts';
import { useParley, useViewer } from '../../parley.ts';
import { Action } from '../../shell/action.tsx';
import { Avatar } from '../../shell/avatar.tsx';
import { Confirm } from '../../shell/confirm.tsx';
import { useNavigation } from '../../shell/router.tsx';
import { SidePanel } from '../../shell/side-panel.tsx';
import { useTimes } from '../../shell/time.ts';
import { useTask } from '../../shell/use-task.ts';
import { presenceOf } from '../chat/names.ts';
import VerifiedBadge from '../encryption/verified-badge.tsx';
import styles from './group.module.css';

type Profile = NonNullable<ProfileQuery['user']>;

/** The profile of a user, and what the viewer can do with them; `children` are further actions. */
export default function UserPanel({
  id,
  onClose,
  children,
  footer,
}: {
  id: string;
  onClose(): void;
  children?: ReactNode;
  footer?: ReactNode;
}) {
  const text = useScreenText();
  const { group, app } = text;
  const encryption = useReadyEncryption();
  const times = useTimes();
  const parley = useParley();
  const people = peopleOf(parley);
  const task = useTask();
  const { go } = useNavigation();
  // In their direct conversation, the field for messages is on the same page.
  const isOpen = usePane().handle.value.conversation?.counterpart?.id === id;
  const isViewer = useViewer()?.user.id === id;
  const [user, setUser] = useState<Profile | null>();
  const [isBlocking, setBlocking] = useState(false);
  const load = async () => setUser((await parley.request(ProfileDocument, { id })).user);
  useEffect(() => {
    void task.run(load);
  }, [id]);
  const presence = presenceOf(text, user as never);
  const change = (work: () => Promise<unknown>) =>
    void task.run(async () => {
      await work();
      await load();
    });
  return (
    <SidePanel title={group.profile} onClose={onClose}>
      {user === undefined && <p role="status">{app.loading}</p>}
      {user === null && <p>{app.notFoundTitle}</p>}
      {user && (
        <>
          <div className={styles.head}>
            <Avatar name={user.displayName} id={user.id} url={user.avatarUrl} size={88} />
            <h2>
              <bdi>{user.displayName}</bdi> <VerifiedBadge userId={id} />
            </h2>
            <p>
              <bdi>@{user.username}</bdi>
              {user.kind === 'BOT' && ` · ${group.bot}`}
            </p>
            {presence && <p data-status={presence.status}>{presence.label}</p>}
            {!presence && user.presence?.lastSeenAt && <p>{group.lastSeen(times.brief(user.presence.lastSeenAt))}</p>}
          </div>
          {user.bio && (
            <p className={styles.bio} dir="auto">
              {user.bio}
            </p>
          )}
          {!isViewer && user.deletedAt === null && (
            <ul className={styles.actions}>
              {!isOpen && (
                <li>
                  <Action
                    icon="message"
                    label={group.write}
                    onClick={() =>
                      void task.run(async () => {
                        const { id: conversationId } = await parley.openDirect(id);
                        onClose();
                        go({ name: 'conversation', id: conversationId });
                      })
                    }
                  />
                </li>
              )}
              {children}
              {encryption && (
                <li>
                  <Action
                    icon="shield"
                    label={text.encryption.verifyAction}
                    onClick={() => encryption.openVerification(id)}
                  />
                </li>
              )}
              {!user.viewerHasBlocked && (
                <li>
                  <Action
                    icon={user.viewerIsContact ? 'userMinus' : 'userPlus'}
                    label={user.viewerIsContact ? group.removeContact : group.addContact}
                    onClick={() =>
                      change(() => (user.viewerIsContact ? people.removeContact(id) : people.addContact(id)))
                    }
                  />
                </li>
              )}
              <li>
                <Action
                  icon="block"
                  isDangerous={!user.viewerHasBlocked}
                  label={user.viewerHasBlocked ? group.unblock : group.block}
                  onClick={() => {
                    if (user.viewerHasBlocked) change(() => people.unblock(id));
                    else setBlocking(true);
                  }}
                />
              </li>
            </ul>
          )}
          {footer}
          {isBlocking && (
            <Confirm
              title={group.blockTitle(user.displayName)}
              text={group.blockText}
              action={group.block}
              onClose={() => setBlocking(false)}
              onConfirm={() => {
                setBlocking(false);
                change(() => people.block(id));
              }}
            />
          )}
        </>
      )}
    </SidePanel>
  );
}
