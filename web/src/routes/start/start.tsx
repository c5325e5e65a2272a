import { type ReactNode, useEffect, useId, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useViewer } from '../../parley.ts';
import { Button } from '../../shell/button.tsx';
import { Icon } from '../../shell/icon.tsx';
import { pathOf, useNavigation } from '../../shell/router.tsx';
import styles from './start.module.css';

/** How long the button shows that the link was copied, in milliseconds. */
const COPIED_MS = 2_000;
/** Host names that mean another computer on every computer. */
const LOCAL = /^(?:localhost|127\.|\[::1\])/;

/** What a user without conversations can do first. `onFind` shows the search for people. */
export default function Start({ onFind }: { onFind(): void }) {
  const { start, list } = useScreenText();
  const user = useViewer()?.user;
  return (
    <div className={styles.start}>
      <div className={styles.inner}>
        <h1>
          {start.welcome} <bdi>{user?.displayName}</bdi>
        </h1>
        <p className={styles.lead}>{start.lead}</p>
        {user && <Invite userId={user.id} />}
        <Step icon={<Icon name="search" />} title={start.findTitle} text={start.findText}>
          <Button onClick={onFind}>{list.new}</Button>
        </Step>
        <TryOut />
      </div>
    </div>
  );
}

function Step({ icon, title, text, children }: { icon: ReactNode; title: string; text: string; children: ReactNode }) {
  const id = useId();
  return (
    <section className={styles.step} aria-labelledby={id}>
      <span className={styles.icon}>{icon}</span>
      <div>
        <h2 id={id}>{title}</h2>
        <p>{text}</p>
        {children}
      </div>
    </section>
  );
}

function Invite({ userId }: { userId: string }) {
  const { start } = useScreenText();
  const [isCopied, setCopied] = useState(false);
  const link = new URL(pathOf({ name: 'invitation', userId }), location.origin).href;
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), COPIED_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  return (
    <Step icon={<Icon name="people" />} title={start.inviteTitle} text={start.inviteText}>
      <div className={styles.link}>
        <input
          readOnly
          value={link}
          dir="ltr"
          aria-label={start.inviteLink}
          onFocus={(event) => event.currentTarget.select()}
        />
        {/* Browsers have a clipboard only for pages that were loaded over HTTPS, or from the same computer. */}
        {navigator.clipboard && (
          <Button
            kind="primary"
            onClick={() =>
              navigator.clipboard.writeText(link).then(
                () => setCopied(true),
                () => {},
              )
            }
          >
            {start.copy}
          </Button>
        )}
      </div>
      <p className={styles.hint} role="status">
        {isCopied ? start.copied : LOCAL.test(location.hostname) ? start.inviteLocal : ''}
      </p>
    </Step>
  );
}

/** Creates a group in which the viewer is alone, with a few messages that show what messages can do. */
function TryOut() {
  const { start, errors } = useScreenText();
  const parley = useParley();
  const { go } = useNavigation();
  const [state, setState] = useState<'ready' | 'busy' | 'failed'>('ready');
  const create = async () => {
    setState('busy');
    try {
      const conversation = await parley.createGroup({ title: start.tryGroup });
      for (const text of start.tryMessages) await conversation.send(text);
      go({ name: 'conversation', id: conversation.id });
    } catch {
      setState('failed');
    }
  };
  return (
    <Step icon={<Icon name="message" />} title={start.tryTitle} text={start.tryText}>
      <Button busy={state === 'busy'} onClick={() => void create()}>
        {start.tryAction}
      </Button>
      <p className={styles.hint} role="alert">
        {state === 'failed' ? errors.unexpected : ''}
      </p>
    </Step>
  );
}
