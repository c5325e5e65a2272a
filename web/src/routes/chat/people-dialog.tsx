import { peopleOf } from '@parley/client/people';
import { lazy, Suspense, useState } from 'react';
import { useScreenText } from '../../locales/screens.ts';
import { useParley, useReadable } from '../../parley.ts';
import { Avatar } from '../../shell/avatar.tsx';
import { Dialog } from '../../shell/dialog.tsx';
import { Icon } from '../../shell/icon.tsx';
import { useNavigation } from '../../shell/router.tsx';
import { useToast } from '../../shell/toast.tsx';
import styles from './people-dialog.module.css';
import { type PersonResult, SearchField, usePeople } from './people-search.tsx';

const NewGroup = lazy(() => import('../group/new-group.tsx'));
const Rooms = lazy(() => import('../group/rooms.tsx'));

/** Begins a conversation: with a user, in a new group, or in a public group. */
export default function PeopleDialog({ onClose }: { onClose(): void }) {
  const { list, group } = useScreenText();
  const parley = useParley();
  const { go } = useNavigation();
  const toast = useToast();
  const [step, setStep] = useState<'people' | 'group' | 'rooms'>('people');
  const { search, setSearch, people } = usePeople();
  const contacts = useReadable(peopleOf(parley).contacts);
  const show = (id: string) => {
    onClose();
    go({ name: 'conversation', id });
  };
  const open = async (person: PersonResult) => {
    try {
      show((await parley.openDirect(person.id)).id);
    } catch (error) {
      toast((error as Error).message);
    }
  };
  const person = (each: PersonResult) => (
    <button key={each.id} type="button" className={styles.person} onClick={() => void open(each)}>
      <Avatar name={each.displayName} id={each.id} url={each.avatarUrl} />
      <span>
        <strong>
          <bdi>{each.displayName}</bdi>
        </strong>
        <span>
          <bdi>@{each.username}</bdi>
        </span>
      </span>
    </button>
  );
  const title = { people: list.new, group: group.new, rooms: group.rooms }[step];
  return (
    <Dialog title={title} onClose={onClose}>
      {step === 'people' && (
        <>
          <SearchField value={search} onInput={setSearch} label={group.findPlaceholder} autoFocus />
          <div className={styles.results}>
            <p role="status" className={people?.length === 0 ? styles.none : 'visually-hidden'}>
              {people?.length === 0 ? group.noPeople : ''}
            </p>
            {people?.map(person)}
            {!people && (
              <>
                <button type="button" className={styles.person} onClick={() => setStep('group')}>
                  <i aria-hidden="true">
                    <Icon name="people" />
                  </i>
                  <span>
                    <strong>{group.new}</strong>
                  </span>
                </button>
                <button type="button" className={styles.person} onClick={() => setStep('rooms')}>
                  <i aria-hidden="true">
                    <Icon name="globe" />
                  </i>
                  <span>
                    <strong>{group.rooms}</strong>
                  </span>
                </button>
                {contacts.length > 0 && <h3 className={styles.heading}>{group.contacts}</h3>}
                {contacts.map(person)}
              </>
            )}
          </div>
        </>
      )}
      <Suspense>
        {step === 'group' && <NewGroup onCreated={show} />}
        {step === 'rooms' && <Rooms onOpen={show} />}
      </Suspense>
    </Dialog>
  );
}
