import { useScreenText } from '../../locales/screens.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Icon } from '../../shell/icon.tsx';
import { type PersonResult, SearchField, usePeople } from '../chat/people-search.tsx';
import styles from './group.module.css';

/** Chooses users, who are shown above the search. */
export function PeoplePicker({
  chosen,
  onChange,
  without = [],
  max,
}: {
  chosen: readonly PersonResult[];
  onChange(people: readonly PersonResult[]): void;
  /** The ids of users who cannot be chosen. */
  without?: readonly string[];
  max: number | undefined;
}) {
  const { group } = useScreenText();
  const { search, setSearch, people } = usePeople();
  const isChosen = ({ id }: PersonResult) => chosen.some((each) => each.id === id);
  const isFull = max !== undefined && chosen.length >= max;
  return (
    <div className={styles.picker}>
      {chosen.length > 0 && (
        <ul className={styles.chips} aria-label={group.chosen(chosen.length)}>
          {chosen.map((person) => (
            <li key={person.id}>
              <button
                type="button"
                aria-label={group.unchoose(person.displayName)}
                onClick={() => onChange(chosen.filter(({ id }) => id !== person.id))}
              >
                <Avatar name={person.displayName} id={person.id} url={person.avatarUrl} size={24} />
                <bdi>{person.displayName}</bdi>
                <Icon name="close" size={14} />
              </button>
            </li>
          ))}
        </ul>
      )}
      <SearchField value={search} onInput={setSearch} label={group.findPlaceholder} />
      <div className={styles.found}>
        <p role="status" className={people?.length === 0 ? styles.none : 'visually-hidden'}>
          {people?.length === 0 ? group.noPeople : ''}
        </p>
        {people
          ?.filter(({ id }) => !without.includes(id))
          .map((person) => (
            <label key={person.id} className={styles.person}>
              <Avatar name={person.displayName} id={person.id} url={person.avatarUrl} size={36} />
              <span>
                <strong>
                  <bdi>{person.displayName}</bdi>
                </strong>
                <small>
                  <bdi>@{person.username}</bdi>
                </small>
              </span>
              <input
                type="checkbox"
                checked={isChosen(person)}
                disabled={isFull && !isChosen(person)}
                onChange={() => {
                  onChange(isChosen(person) ? chosen.filter(({ id }) => id !== person.id) : [...chosen, person]);
                }}
              />
            </label>
          ))}
      </div>
    </div>
  );
}
