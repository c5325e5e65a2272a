import { type KeyboardEvent, useDeferredValue, useEffect, useMemo, useState } from 'react';
import { useLanguage } from '../locales/locale.tsx';
import { useScreenText } from '../locales/screens.ts';
import { Icon } from '../shell/icon.tsx';
import data from './emoji.json';
import styles from './emoji-panel.module.css';
import { recentEmojis, rememberEmoji } from './recent.ts';

interface Emoji {
  emoji: string;
  name: string;
  /** Where searches look: the name and other words. */
  words: string;
}

type Group = keyof typeof data;

type Names = Readonly<Record<string, string>>;

/** The names and other words in languages other than English, by emoji. From the Unicode CLDR (see LICENSE-CLDR). */
const languages: Readonly<Record<string, () => Promise<{ default: Names }>>> = {
  ar: () => import('./emoji.ar.json'),
  de: () => import('./emoji.de.json'),
};

// From emojibase-data (see LICENSE): each entry has the emoji, its name and other words.
const groups = Object.entries(data).map(([group, entries]) => ({
  group: group as Group,
  emojis: entries.map((entry): Emoji => {
    const [emoji = '', name = '', more = ''] = entry.split('|');
    return { emoji, name, words: ` ${name} ${more}` };
  }),
}));
const all = groups.flatMap(({ emojis }) => emojis);
const byEmoji = new Map(all.map((each) => [each.emoji, each]));
const signs: Record<Group, string> = {
  smileys: '😀',
  people: '👋',
  nature: '🐻',
  food: '🍎',
  travel: '✈️',
  activities: '⚽',
  objects: '💡',
  symbols: '🔣',
  flags: '🏁',
};

/** The names in the language of the app; undefined in English, and until they are loaded. */
function useNames(): Names | undefined {
  const { tag } = useLanguage();
  const [names, setNames] = useState<Names>();
  useEffect(() => {
    let isGone = false;
    setNames(undefined);
    languages[tag]?.().then(
      (loaded) => !isGone && setNames(loaded.default),
      // The English names remain.
      () => {},
    );
    return () => {
      isGone = true;
    };
  }, [tag]);
  return names;
}

/** The emojis that a text describes in English or in the language of the app, those with a matching name first. */
function findEmojis(text: string, names: Names = {}): Emoji[] {
  const isIn = (words: string) => ` ${words}`.includes(` ${text}`);
  const localized = (emoji: string) => (names[emoji] ?? '').split('|');
  const found = all.filter(
    ({ words, emoji }) => emoji === text || words.includes(` ${text}`) || localized(emoji).some(isIn),
  );
  const isNamed = ({ name, emoji }: Emoji) => Number(isIn(name) || isIn(localized(emoji)[0] ?? ''));
  return found.sort((one, other) => isNamed(other) - isNamed(one));
}

/** Chooses an emoji, by its group or its name. */
export default function EmojiPanel({ onChoose }: { onChoose(emoji: string): void }) {
  const { emoji: text } = useScreenText();
  const names = useNames();
  const [search, setSearch] = useState('');
  const sought = useDeferredValue(search.trim().toLowerCase());
  const [recent] = useState(() => recentEmojis().flatMap((emoji) => byEmoji.get(emoji) ?? []));
  const found = useMemo(() => (sought === '' ? undefined : findEmojis(sought, names)), [sought, names]);
  const choose = (emoji: string) => {
    rememberEmoji(emoji);
    onChoose(emoji);
  };
  const sections = found
    ? [{ group: 'found', title: text.results, emojis: found.slice(0, 120) }]
    : [
        ...(recent.length > 0 ? [{ group: 'recent', title: text.recent, emojis: recent }] : []),
        ...groups.map(({ group, emojis }) => ({ group, title: text.groups[group], emojis })),
      ];
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only moves the focus between its buttons
    <div className={styles.panel} onKeyDown={moveFocus}>
      <search className={styles.search}>
        <Icon name="search" size={18} />
        <input
          type="search"
          value={search}
          placeholder={text.search}
          aria-label={text.search}
          autoComplete="off"
          data-autofocus=""
          onInput={(event) => setSearch(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== 'Enter') return;
            // It would also press the button that gets the focus back.
            event.preventDefault();
            const [first] = findEmojis(event.currentTarget.value.trim().toLowerCase(), names);
            if (first) choose(first.emoji);
          }}
        />
      </search>
      <div className={styles.scroller}>
        {sections.map(({ group, title, emojis }) => (
          <section
            key={group}
            data-group={group}
            style={{ '--rows': Math.ceil(emojis.length / 8) } as React.CSSProperties}
          >
            <h3>{title}</h3>
            {emojis.length === 0 && <p>{text.none}</p>}
            <div className={styles.grid}>
              {emojis.map(({ emoji, name }) => (
                <button
                  key={emoji}
                  type="button"
                  tabIndex={-1}
                  title={names?.[emoji]?.split('|')[0] ?? name}
                  onClick={() => choose(emoji)}
                >
                  {emoji}
                </button>
              ))}
            </div>
          </section>
        ))}
      </div>
      {!found && (
        <div className={styles.groups}>
          {groups.map(({ group }) => (
            <button
              key={group}
              type="button"
              aria-label={text.groups[group]}
              title={text.groups[group]}
              onClick={(event) =>
                event.currentTarget
                  .closest(`.${styles.panel}`)
                  ?.querySelector(`[data-group=${group}]`)
                  ?.scrollIntoView({ block: 'start' })
              }
            >
              {signs[group]}
            </button>
          ))}
        </div>
      )}
    </div>
  );
}

/** The arrow keys move between the emojis of the grid, and from the search into it. */
function moveFocus(event: KeyboardEvent<HTMLElement>): void {
  const buttons = [...event.currentTarget.querySelectorAll<HTMLElement>(`.${styles.grid} button`)];
  const at = buttons.indexOf(document.activeElement as HTMLElement);
  if (at < 0) {
    if (event.key !== 'ArrowDown') return;
    event.preventDefault();
    buttons[0]?.focus();
    return;
  }
  const isRtl = document.documentElement.dir === 'rtl';
  const current = buttons[at] as HTMLElement;
  const columns = getComputedStyle(current.parentElement as HTMLElement).gridTemplateColumns.split(' ').length;
  const steps: Record<string, number> = {
    ArrowRight: isRtl ? -1 : 1,
    ArrowLeft: isRtl ? 1 : -1,
    ArrowDown: columns,
    ArrowUp: -columns,
  };
  const step = steps[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const next = buttons[Math.min(at + step, buttons.length - 1)];
  if (at + step < 0 || !next) event.currentTarget.querySelector('input')?.focus();
  else next.focus();
}
