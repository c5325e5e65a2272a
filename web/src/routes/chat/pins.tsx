import { type PinnedMessage, pinsOf } from '@parley/client/pins';
import { useEffect, useRef, useState } from 'react';
import { useText } from '../../locales/locale.tsx';
import { useParley, useReadable } from '../../parley.ts';
import { Icon } from '../../shell/icon.tsx';
import { Popover } from '../../shell/popover.tsx';
import { useTimes } from '../../shell/time.ts';
import { previewOf } from './names.ts';
import styles from './pins.module.css';

/** The pinned messages of a conversation: the last one, and a list of all of them. */
export default function Pins({ conversationId, onJump }: { conversationId: string; onJump(seq: number): void }) {
  const parley = useParley();
  const pinned = useReadable(pinsOf(parley).of(conversationId));
  const isLive = useReadable(parley.connection).status === 'live';
  useEffect(() => {
    // Later pins arrive as events.
    if (isLive)
      pinsOf(parley)
        .load(conversationId)
        .catch(() => {});
  }, [parley, conversationId, isLive]);
  const text = useText();
  const { pane } = text;
  const times = useTimes();
  const [isOpen, setOpen] = useState(false);
  const bar = useRef<HTMLElement>(null);
  const [latest] = pinned;
  if (!latest) return null;
  const textOf = (message: PinnedMessage) => previewOf(text, message);
  return (
    <section ref={bar} className={styles.bar} aria-label={pane.pins(pinned.length)}>
      <Icon name="pin" size={18} />
      <button type="button" className={styles.latest} title={pane.jump} onClick={() => onJump(latest.seq)}>
        <strong>
          <bdi>{latest.sender?.displayName}</bdi>
        </strong>
        <span>{textOf(latest)}</span>
      </button>
      {pinned.length > 1 && (
        <button type="button" className={styles.all} aria-haspopup="dialog" onClick={() => setOpen(true)}>
          <span className={styles.count} aria-hidden="true">
            {pinned.length}
          </span>
          <span className={styles.words}>{pane.pins(pinned.length)}</span>
        </button>
      )}
      {isOpen && (
        <Popover anchor={bar.current} label={pane.pins(pinned.length)} onClose={() => setOpen(false)}>
          <ul className={styles.list}>
            {pinned.map((message) => (
              <li key={message.id}>
                <button
                  type="button"
                  onClick={() => {
                    setOpen(false);
                    onJump(message.seq);
                  }}
                >
                  <span>
                    <strong>
                      <bdi>{message.sender?.displayName}</bdi>
                    </strong>
                    <time dateTime={message.createdAt}>{times.brief(message.createdAt)}</time>
                  </span>
                  <span>{textOf(message)}</span>
                </button>
              </li>
            ))}
          </ul>
        </Popover>
      )}
    </section>
  );
}
