import { type KeyboardEvent, type ReactNode, useId, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useNavigation } from '../../shell/router.tsx';
import { useToast } from '../../shell/toast.tsx';
import { nameOf, pictureOf } from '../chat/names.ts';
import { usePeople } from '../chat/people-search.tsx';
import styles from './switcher.module.css';

const CONVERSATIONS_MAX = 8;

interface Option {
  key: string;
  name: string;
  about: string;
  picture: ReactNode;
  open(): void;
}

const folded = (text: string): string => text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase();

/** Goes to a conversation or a person by their name. */
export default function Switcher({ onClose }: { onClose(): void }) {
  const { keys, pane, settings } = useScreenText();
  const parley = useParley();
  const toast = useToast();
  const { go } = useNavigation();
  const id = useId();
  const { conversations } = useReadable(parley.conversations);
  const { search, setSearch, people } = usePeople();
  const [chosen, setChosen] = useState(0);
  const sought = folded(search.trim().replace(/^@/, ''));
  const show = (conversationId: string) => {
    onClose();
    go({ name: 'conversation', id: conversationId });
  };
  const openDirect = async (userId: string) => {
    try {
      show((await parley.openDirect(userId)).id);
    } catch (error) {
      toast((error as Error).message);
    }
  };
  const isSought = (...names: string[]) => names.some((name) => ` ${folded(name)}`.includes(` ${sought}`));
  const known = conversations
    .filter((each) => isSought(nameOf(each), each.counterpart?.username ?? ''))
    .slice(0, CONVERSATIONS_MAX);
  const options: Option[] = known.map((each) => ({
    key: each.id,
    name: nameOf(each),
    about: each.counterpart ? `@${each.counterpart.username}` : pane.members(each.memberCount),
    picture: <Avatar name={nameOf(each)} {...pictureOf(each)} size={32} />,
    open: () => show(each.id),
  }));
  for (const person of people ?? []) {
    if (known.some(({ counterpart }) => counterpart?.id === person.id)) continue;
    options.push({
      key: person.id,
      name: person.displayName,
      about: `@${person.username}`,
      picture: <Avatar name={person.displayName} id={person.id} url={person.avatarUrl} size={32} />,
      open: () => void openDirect(person.id),
    });
  }
  if (isSought(settings.title)) {
    options.push({
      key: 'settings',
      name: settings.title,
      about: '',
      picture: <Icon name="gear" size={22} />,
      open() {
        onClose();
        go({ name: 'settings' });
      },
    });
  }
  const at = Math.min(chosen, options.length - 1);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined && options.length > 0) setChosen((at + step + options.length) % options.length);
    else if (event.key === 'Enter') options[at]?.open();
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title={keys.switcher} onClose={onClose}>
      <search className={styles.search}>
        <Icon name="search" />
        <input
          type="text"
          role="combobox"
          aria-expanded={options.length > 0}
          aria-controls={id}
          aria-autocomplete="list"
          aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
          aria-label={keys.switcher}
          placeholder={keys.switcher}
          value={search}
          autoComplete="off"
          spellCheck={false}
          dir={search === '' ? undefined : 'auto'}
          autoFocus
          onInput={(event) => {
            setSearch(event.currentTarget.value);
            setChosen(0);
          }}
          onKeyDown={onKeyDown}
        />
      </search>
      <div id={id} role="listbox" aria-label={keys.switcher} className={styles.options}>
        {options.map(({ key, name, about, picture, open }, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys belong to the field
          <div
            key={key}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === at}
            onMouseMove={() => setChosen(index)}
            onClick={open}
          >
            {picture}
            <strong>
              <bdi>{name}</bdi>
            </strong>
            <span>
              <bdi>{about}</bdi>
            </span>
          </div>
        ))}
      </div>
      <p role="status" className={options.length === 0 ? styles.none : 'visually-hidden'}>
        {options.length === 0 ? keys.nothing : ''}
      </p>
    </Dialog>
  );
}
