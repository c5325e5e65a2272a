import { useEffect, useState } from 'react';
import { SearchPeopleDocument, type SearchPeopleQuery } from '../../generated/screens/graphql.ts';
import { useParley, useViewer } from '../../parley.ts';
import { Icon } from '../../shell/icon.tsx';
import styles from './people-dialog.module.css';

export type PersonResult = NonNullable<SearchPeopleQuery['users']>['nodes'][number];

/** How long the user must have stopped typing before the search is sent, in milliseconds. */
const PAUSE_MS = 150;

/** A field that searches people or groups. */
export function SearchField({
  value,
  onInput,
  label,
  autoFocus = false,
}: {
  value: string;
  onInput(value: string): void;
  label: string;
  autoFocus?: boolean;
}) {
  return (
    <search className={styles.search}>
      <Icon name="search" />
      <input
        type="search"
        value={value}
        onInput={(event) => onInput(event.currentTarget.value)}
        placeholder={label}
        aria-label={label}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        dir={value === '' ? undefined : 'auto'}
        // biome-ignore lint/a11y/noAutofocus: only in dialogs that consist of a search
        autoFocus={autoFocus}
      />
    </search>
  );
}

/** A search for users whose names begin with a text. `people` is undefined while there is no text. */
export function usePeople() {
  const parley = useParley();
  const ownId = useViewer()?.user.id;
  const [search, setSearch] = useState('');
  const [people, setPeople] = useState<PersonResult[]>();
  const sought = search.trim().replace(/^@/, '');
  useEffect(() => {
    if (sought === '') {
      setPeople(undefined);
      return;
    }
    let isCurrent = true;
    const timer = setTimeout(() => {
      parley.request(SearchPeopleDocument, { search: sought }).then(
        ({ users }) => {
          if (isCurrent) setPeople(users?.nodes.filter(({ id }) => id !== ownId) ?? []);
        },
        () => {},
      );
    }, PAUSE_MS);
    return () => {
      isCurrent = false;
      clearTimeout(timer);
    };
  }, [parley, sought, ownId]);
  return { search, setSearch, people };
}
