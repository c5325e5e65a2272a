import type { ConversationHandle, ConversationView, Message, Parley } from '@parley/client';
import { useEffect, useRef, useState } from 'react';
import type { FullText } from '../../locales/en-screens.ts';
import { useScreenText } from '../../locales/screens.ts';
import { useParley } from '../../parley.ts';
import { previewOf } from './names.ts';

/** How long new messages are collected before they are announced together, in milliseconds. */
const COLLECT_MS = 1_000;
/** After how many milliseconds an announcement is removed, so that it is not found when the page is read. */
const KEPT_MS = 10_000;
/** How much of a message is announced. */
const TEXT_CHARS = 200;

/** New messages of other users. */
interface Arrivals {
  count: number;
  /** Those of them that are loaded: none while the user looks at older ones. */
  messages: Message[];
}

/**
 * Announces new messages of other users in the open conversation to screen readers: several at once together, and neither
 * the history nor one's own messages.
 */
export default function Announcer({ handle }: { handle: ConversationHandle }) {
  const text = useScreenText();
  const parley = useParley();
  const latestText = useRef(text);
  latestText.current = text;
  const [announcement, setAnnouncement] = useState<{ text: string; number: number }>();
  useEffect(
    () =>
      watchArrivals(parley, handle, (arrivals) =>
        setAnnouncement((before) => ({
          text: describe(latestText.current, arrivals),
          number: (before?.number ?? 0) + 1,
        })),
      ),
    [parley, handle],
  );
  useEffect(() => {
    const timer = setTimeout(() => setAnnouncement(undefined), KEPT_MS);
    return () => clearTimeout(timer);
  }, [announcement]);
  return (
    <div role="status" className="visually-hidden" data-announcer="">
      {/* Another element each time: the same text twice is announced twice. */}
      {announcement && <p key={announcement.number}>{announcement.text}</p>}
    </div>
  );
}

/** Calls the listener with the new messages of other users, from when the conversation is up to date. */
function watchArrivals(parley: Parley, handle: ConversationHandle, listener: (arrivals: Arrivals) => void): () => void {
  let unread: number | undefined;
  let isFollowed = false;
  let collected: Arrivals | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = () => {
    if (collected) listener(collected);
    collected = undefined;
  };
  const stops = [
    // The number of unread messages grows with each new message of another user, and with nothing else.
    handle.subscribe((view) => {
      const count = view.conversation?.viewerMembership?.unreadCount ?? undefined;
      const added = (count ?? 0) - (unread ?? count ?? 0);
      unread = count;
      if (added <= 0 || !isFollowed) return;
      if (!collected) {
        collected = { count: 0, messages: [] };
        timer = setTimeout(end, COLLECT_MS);
      }
      collected.count += added;
      collected.messages.push(...newest(view, added));
    }),
    // After the previous listener: what is delivered until the connection is live is the history.
    parley.connection.subscribe(({ status }) => {
      if (status === 'live') isFollowed = true;
    }),
  ];
  return () => {
    clearTimeout(timer);
    for (const stop of stops) stop();
  };
}

/** The newest messages of other users, as far as they are loaded. */
function newest({ rows, hasLater }: ConversationView, count: number): Message[] {
  if (hasLater) return [];
  const others = rows.flatMap(({ message, isOwn }) => (message && !isOwn && message.kind === 'USER' ? message : []));
  return others.slice(-count);
}

function describe(text: FullText, { count, messages }: Arrivals): string {
  const { pane, announcements } = text;
  const [first] = messages;
  const who = first?.sender?.displayName ?? pane.system.somebody;
  const isFromOne = messages.length === count && messages.every(({ sender }) => sender?.id === first?.sender?.id);
  if (!first || !isFromOne) return pane.newMessages(count);
  if (count > 1) return announcements.several(pane.newMessages(count), who);
  const [...characters] = previewOf(text, first);
  const isShort = characters.length <= TEXT_CHARS;
  return announcements.one(who, isShort ? characters.join('') : `${characters.slice(0, TEXT_CHARS).join('')}…`);
}
