import { useEffect, useRef, useState } from 'react';
import { useLanguage } from '../../locales/locale.tsx';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { IconButton } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { Link, useNavigation } from '../../shell/router.tsx';
import { previewOf } from '../chat/names.ts';
import { type Alert, startAlerts, watchLooking } from './alerts.ts';
import styles from './message-alert.module.css';

/** How long an alert is shown, in milliseconds, and longer while the pointer or the focus is on it. */
const SHOWN_MS = 6_000;

/** Announces messages of other conversations than the one that the user is looking at. */
export default function MessageAlert() {
  const text = useScreenText();
  const { notifications } = text;
  const { tag } = useLanguage();
  const parley = useParley();
  const { route } = useNavigation();
  const currentId = route.name === 'conversation' ? route.id : undefined;
  const [alert, setAlert] = useState<Alert>();
  const [isHeld, setHeld] = useState(false);
  const latest = useRef({ currentId, text, tag });
  latest.current = { currentId, text, tag };
  useEffect(
    () =>
      startAlerts(parley, {
        previewOf: (message) => previewOf(latest.current.text, message),
        newMessage: () => latest.current.text.notifications.newMessage,
        lang: () => latest.current.tag,
        currentId: () => latest.current.currentId,
        show: setAlert,
      }),
    [parley],
  );
  useEffect(() => watchLooking(currentId), [currentId]);
  useEffect(() => setAlert((shown) => (shown?.conversationId === currentId ? undefined : shown)), [currentId]);
  const close = () => {
    setAlert(undefined);
    setHeld(false);
  };
  useEffect(() => {
    if (!alert || isHeld) return;
    const timer = setTimeout(close, SHOWN_MS);
    return () => clearTimeout(timer);
  }, [alert, isHeld]);
  return (
    <div role="status" className={styles.place}>
      {alert && (
        // biome-ignore lint/a11y/noStaticElementInteractions: it only stays as long as the pointer or the focus is on it
        <div
          key={alert.messageId}
          className={styles.alert}
          onPointerEnter={() => setHeld(true)}
          onPointerLeave={() => setHeld(false)}
          onFocus={() => setHeld(true)}
          onBlur={() => setHeld(false)}
        >
          <Link
            to={{ name: 'conversation', id: alert.conversationId, seq: alert.seq }}
            className={styles.link}
            onClick={close}
          >
            <Avatar
              name={alert.sender?.displayName ?? alert.title}
              id={alert.sender?.id ?? alert.conversationId}
              url={alert.sender?.avatarUrl}
              size={36}
            />
            <span className={styles.body}>
              <strong dir="auto">{alert.title}</strong>
              <span dir="auto">
                {alert.sender && alert.sender.displayName !== alert.title && (
                  <>
                    <bdi>{alert.sender.displayName}</bdi>
                    {': '}
                  </>
                )}
                <bdi>{alert.text}</bdi>
              </span>
            </span>
          </Link>
          <IconButton label={notifications.dismiss} onClick={close}>
            <Icon name="close" size={18} />
          </IconButton>
        </div>
      )}
    </div>
  );
}
