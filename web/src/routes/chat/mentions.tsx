import type { ConversationHandle } from '@parley/client';
import { type KeyboardEvent, type RefObject, useEffect, useId, useRef, useState } from 'react';
import { MentionCandidatesDocument } from '../../generated/graphql.ts';
import { useText } from '../../locales/locale.tsx';
import { useParley, useViewer } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Icon } from '../../shell/icon.tsx';
import styles from './composer.module.css';

interface Candidate {
  username: string;
  name: string;
  /** Undefined for everyone. */
  person: { id: string; avatarUrl: string | null } | undefined;
}

const PAUSE_MS = 60;
const EVERYONE = 'everyone';

/** Offers the members of a conversation while the viewer writes a mention. */
export function useMentions(
  handle: ConversationHandle,
  field: RefObject<HTMLTextAreaElement | null>,
  text: string,
  insert: (from: number, to: number, added: string) => void,
) {
  const { pane } = useText();
  const id = useId();
  // Nothing is offered for a draft until the viewer continues it.
  const [caret, setCaret] = useState(-1);
  const isFirst = useRef(true);
  const [dismissed, setDismissed] = useState<number>();
  const [chosen, setChosen] = useState(0);
  const update = () => {
    const { selectionStart, selectionEnd } = field.current ?? {};
    setCaret(selectionStart === selectionEnd ? (selectionStart ?? 0) : -1);
  };
  // The typed text is in the field before the position of the caret is reported.
  useEffect(() => {
    if (!isFirst.current) update();
    isFirst.current = false;
  }, [text]);
  const before = caret < 0 ? '' : text.slice(0, caret);
  const [, search] = /(?:^|[^\p{L}\p{N}\p{M}@])@([\p{L}\p{N}_.-]{0,32})$/u.exec(before) ?? [];
  const from = search === undefined ? undefined : caret - search.length - 1;
  const candidates = useCandidates(handle, from === dismissed ? undefined : search);
  const isOpen = candidates.length > 0 && from !== undefined && from !== dismissed;
  const at = Math.min(chosen, candidates.length - 1);
  useEffect(() => setChosen(0), [search]);

  const choose = (candidate: Candidate | undefined) => {
    if (candidate && from !== undefined) insert(from, caret, `@${candidate.username} `);
  };
  return {
    update,
    attributes: {
      'aria-autocomplete': 'list' as const,
      'aria-controls': isOpen ? id : undefined,
      'aria-activedescendant': isOpen ? `${id}-${at}` : undefined,
    },
    /** @returns whether the key was meant for the list. */
    onKeyDown(event: KeyboardEvent): boolean {
      if (!isOpen) return false;
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step !== undefined) setChosen((at + step + candidates.length) % candidates.length);
      else if ((event.key === 'Enter' && !event.shiftKey) || event.key === 'Tab') choose(candidates[at]);
      else if (event.key === 'Escape') setDismissed(from);
      else return false;
      event.preventDefault();
      event.stopPropagation();
      return true;
    },
    list: (
      <>
        <p role="status" className="visually-hidden">
          {isOpen && pane.suggestions(candidates.length)}
        </p>
        {isOpen && (
          <div id={id} role="listbox" aria-label={pane.members(candidates.length)} className={styles.mentions}>
            {candidates.map((candidate, index) => (
              // biome-ignore lint/a11y/useKeyWithClickEvents: the keys belong to the field
              <div
                key={candidate.username}
                id={`${id}-${index}`}
                role="option"
                tabIndex={-1}
                aria-selected={index === at}
                // The field keeps the focus.
                onMouseDown={(event) => event.preventDefault()}
                onClick={() => choose(candidate)}
              >
                {candidate.person ? (
                  <Avatar name={candidate.name} id={candidate.person.id} url={candidate.person.avatarUrl} size={28} />
                ) : (
                  <i aria-hidden="true">
                    <Icon name="people" size={16} />
                  </i>
                )}
                <strong>
                  <bdi>{candidate.name}</bdi>
                </strong>
                <span dir="ltr">@{candidate.username}</span>
              </div>
            ))}
          </div>
        )}
      </>
    ),
  };
}

/** The members whose names begin with a text; none while it is undefined. */
function useCandidates(handle: ConversationHandle, search: string | undefined): readonly Candidate[] {
  const parley = useParley();
  const { pane } = useText();
  const ownId = useViewer()?.user.id;
  const [found, setFound] = useState<readonly Candidate[]>([]);
  useEffect(() => {
    if (search === undefined) {
      setFound([]);
      return;
    }
    let isCurrent = true;
    const timer = setTimeout(() => {
      parley.request(MentionCandidatesDocument, { id: handle.id, search: search || null }).then(
        ({ conversation }) => {
          if (!isCurrent) return;
          const people = conversation?.members?.nodes.map(({ user }) => user) ?? [];
          const candidates = people
            .filter(({ id }) => id !== ownId)
            .map((user): Candidate => ({ username: user.username, name: user.displayName, person: user }));
          // Of others, the server does not treat it as a mention.
          const mayMentionEveryone =
            handle.value.conversation?.kind === 'GROUP' && handle.value.conversation.viewerCanUpdate;
          if (mayMentionEveryone && EVERYONE.startsWith(search.toLowerCase())) {
            candidates.push({ username: EVERYONE, name: pane.everyone, person: undefined });
          }
          setFound(candidates);
        },
        () => {},
      );
    }, PAUSE_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [parley, handle, search, ownId, pane]);
  return found;
}
